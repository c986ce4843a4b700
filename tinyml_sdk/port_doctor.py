"""Why a board on a port does not answer: tried step by step, from the permission to the stack."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from .boards import Board, load_board
from .doctor import Finding
from .errors import DeviceTimeoutError, InputError, TargetError, TinymlError
from .link import Client, DeviceInfo, SerialLine, list_ports
from .link.messages import PROTOCOL_VERSION
from .link.ports import AUTO, holders, is_no_port, is_pty, open_error, resolve_port
from .targets.serial import explain_silence, request_seconds

__all__ = ["diagnose_port"]

_BAUDS = (115_200, 9_600, 921_600, 230_400, 460_800, 57_600, 1_000_000, 38_400)
"""Speeds to try where the board file's does not do, the likeliest first."""

_ANSWER_DEADLINE_S = 5.0
_OTHER_BAUD_DEADLINE_S = 0.8
_LINE_TRIES = 20
_LOST_MAX = 1
"""A single one may be lost while the port settles."""

_LOW_STACK_BYTES = 128
_NEEDED_FOR = "a board on this port"


def diagnose_port(
    port: str, *, board: str | Path | None = None, model: str | Path | None = None
) -> tuple[Finding, ...]:
    """Go through everything that can be wrong between this machine and a model's firmware on a board.

    Asks and resets the board, where its port can do that; writes nothing to it.

    Args:
        port: A device, `socket://host:port`, or `auto`.
        board: Name or file of the board that should be there.
        model: The .tflite file whose firmware should run.

    Returns:
        What was found, in the order in which it was tried. The first that is broken ends it, where the rest would only
        follow from it.

    Raises:
        BoardError: there is no such board.
        InputError: `auto` without a board.
        ModelError: the model file cannot be read.
    """
    if port == AUTO and board is None:
        raise InputError("auto looks for a board's USB id, and no board was named", hint="name it with --board")
    expected = load_board(board) if board is not None else None
    digest = _digest(Path(model)) if model is not None else None
    return tuple(_guarded(_steps(port, expected, digest)))


def _guarded(steps: Iterator[Finding]) -> Iterator[Finding]:
    """The steps; an error in the middle of one, such as a crash of the firmware, is the last finding."""
    try:
        yield from steps
    except TinymlError as error:
        yield _broken("answer", error)


def _steps(port: str, board: Board | None, digest: bytes | None) -> Iterator[Finding]:
    try:
        device = resolve_port(port, board.usb if board else (), board.name if board else "")
        if "://" not in device:
            yield _find_port(device, board)
            yield _check_permission(device)
            yield _check_holders(device)
    except TinymlError as error:
        yield _broken("port", error)
        return
    baud = board.console.baud if board else _BAUDS[0]
    try:
        line = SerialLine(device, baud, reopen_within=_ANSWER_DEADLINE_S)
    except TargetError as error:
        yield _broken("open", error)
        return
    with line:
        yield _ok("open", f"at {baud:,} baud")
        if board is not None and board.reset != "none":
            pulsed = line.reset_board(board.reset)
            yield _ok("reset", f"with {board.reset}" if pulsed else "this port has no DTR and RTS: not tried")
        try:
            info = _ask(line, baud, _ANSWER_DEADLINE_S)
        except DeviceTimeoutError as error:
            yield _explain(line, board, baud, error)
            return
        yield _ok("answer", f"protocol version {PROTOCOL_VERSION}, model {info.model_name}")
        yield from _check_firmware(line, baud, info, board, digest)


# -- the steps --------------------------------------------------------------------------------------------------------


def _find_port(device: str, board: Board | None) -> Finding:
    try:
        Path(device).stat()
    except OSError as error:
        raise open_error(device, error) from error
    if is_no_port(device):
        raise open_error(device, OSError("no terminal"))
    found = next((port for port in list_ports() if port.device == os.path.realpath(device)), None)
    if is_pty(device):
        return _ok("port", f"{device}, a pseudo-terminal: a program is at its other end")
    detail = str(found) if found else device
    if found and found.usb and board is not None and board.usb and found.usb not in board.usb:
        detail += f"; not one of {board.name}'s USB ids, {', '.join(board.usb)}"
    return _ok("port", detail)


def _check_permission(device: str) -> Finding:
    if not os.access(device, os.R_OK | os.W_OK):
        raise open_error(device, PermissionError(13, "Permission denied"))
    return _ok("permission", "may be read and written")


def _check_holders(device: str) -> Finding:
    by = holders(device)
    if by:
        who = " and ".join(map(str, by))
        pids = " ".join(str(holder.pid) for holder in by)
        return Finding("alone", "broken", f"{who} holds it", _NEEDED_FOR, f"end it, such as with `kill {pids}`")
    return _ok("alone", "no other program has it open, as far as this user can see")


def _ask(line: SerialLine, baud: int, deadline: float) -> DeviceInfo:
    return Client(line, retry_after=min(request_seconds(baud), deadline / 2), deadline=deadline).info()


def _explain(line: SerialLine, board: Board | None, baud: int, error: DeviceTimeoutError) -> Finding:
    """No answer: at another speed, perhaps? Otherwise from what was heard."""
    for other in _BAUDS:
        if other == baud:
            continue
        try:
            line.set_baud(other)
            info = _ask(line, other, _OTHER_BAUD_DEADLINE_S)
        except (TinymlError, ValueError, OSError):
            continue
        where = f"the file of {board.name}" if board else "no board file was given, and the default"
        return Finding(
            "answer",
            "broken",
            f"it answers at {other:,} baud; {where} says {baud:,}",
            _NEEDED_FOR,
            f"flash a firmware built for this board (this one was built for {info.board}), or correct console.baud",
        )
    why = explain_silence(error.received, baud, line.device)
    heard = f": {error.received[-60:]!r}" if error.received else ""
    return Finding("answer", "broken", f"{why.reason}, at any speed{heard}", _NEEDED_FOR, why.hint)


def _check_firmware(
    line: SerialLine, baud: int, info: DeviceInfo, board: Board | None, digest: bytes | None
) -> Iterator[Finding]:
    if board is not None and info.board != board.name[:40]:
        yield Finding(
            "board",
            "broken",
            f"the firmware was built for {info.board}, not for {board.name}",
            _NEEDED_FOR,
            f"choose --board {info.board}, or another port; or build and flash again",
        )
    else:
        yield _ok("board", f"{info.board}, {info.clock_hz / 1e6:g} MHz")
    if digest is not None and info.model_sha256 != digest:
        yield Finding(
            "model",
            "broken",
            f"the firmware is stale: it holds {info.model_name} with sha256 {info.model_sha256.hex()[:12]}…, "
            f"the file has {digest.hex()[:12]}…",
            _NEEDED_FOR,
            "build and flash again: `tinyml flash MODEL --board BOARD --port PORT`",
        )
    else:
        compared = "the one of the file" if digest is not None else "give --model to compare it with a file"
        yield _ok("model", f"{info.model_name}, sha256 {info.model_sha256.hex()[:12]}…; {compared}")
    if not info.ready:
        yield Finding(
            "arena",
            "broken",
            "the model did not initialise: its arena is too small or not aligned",
            _NEEDED_FOR,
            "build and flash again; if it stays, report it with the model",
        )
        return
    yield _ok("arena", f"{info.arena_bytes:,} bytes, initialised")
    client = Client(line, retry_after=request_seconds(baud))
    yield _check_stack(client)
    yield _check_line(client)


def _check_stack(client: Client) -> Finding:
    memory = client.memory()
    if memory.stack_overflowed:
        return Finding(
            "stack",
            "broken",
            f"has run over its {memory.stack_bytes:,} bytes",
            _NEEDED_FOR,
            "the board has too little RAM for this model: choose a larger board, or a smaller model",
        )
    left = memory.stack_bytes - memory.stack_high_water
    note = "; that is little: an interrupt may need more" if memory.stack_bytes > 0 and left < _LOW_STACK_BYTES else ""
    return _ok("stack", f"{memory.stack_high_water:,} of {memory.stack_bytes:,} bytes were used so far{note}")


def _check_line(client: Client) -> Finding:
    """How many requests get lost. Those that are only late, as this machine is busy, say nothing of the line."""
    for _ in range(_LINE_TRIES):
        client.memory()
    lost = client.lost()
    if lost > _LOST_MAX:
        return Finding(
            "line",
            "broken",
            f"{lost} requests got lost beside {_LINE_TRIES} that did not: bytes are lost or changed on the way",
            _NEEDED_FOR,
            "results stay right, but it is slow: try another cable, no hub, or a lower console.baud",
        )
    return _ok("line", f"{_LINE_TRIES} requests, {lost or 'none'} lost")


# -- findings ---------------------------------------------------------------------------------------------------------


def _ok(name: str, detail: str) -> Finding:
    return Finding(name, "ok", detail, _NEEDED_FOR, required=True)


def _broken(name: str, error: TinymlError) -> Finding:
    return Finding(name, "broken", str(error), _NEEDED_FOR, error.hint, required=True)


def _digest(model: Path) -> bytes:
    from .graph import read_graph

    return bytes.fromhex(read_graph(model).sha256)
