"""What host and device say to each other. firmware_templates/app/protocol.h describes every body."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from ..errors import ProtocolError, TargetError

__all__ = [
    "MAX_INVOKES",
    "PROTOCOL_VERSION",
    "REPLY",
    "CounterKind",
    "DeviceInfo",
    "DeviceMemory",
    "ErrorCode",
    "MessageType",
    "fault_error",
    "parse_ticks",
    "refusal_error",
    "senseless_error",
]

PROTOCOL_VERSION = 3
REPLY = 0x80
"""Set in the type of a request, it makes the type of its reply."""

MAX_INVOKES = 16
"""Inferences that one request may ask for, where their ticks fit a frame."""

_LEAST_BODY_BYTES = 64  # info alone has 64 bytes and more
_TICKS_BYTES = 8
_WRITE_HEAD_BYTES = 5


class MessageType(IntEnum):
    """Requests, and the two answers that are not replies."""

    INFO = 0x01
    WRITE_INPUT = 0x02
    INVOKE = 0x03
    READ_OUTPUT = 0x04
    RUN_LAYERS = 0x05
    READ_ARENA = 0x06
    MEMORY = 0x07
    RESET = 0x08
    SESSION = 0x09
    FAULT = 0xFE
    ERROR = 0xFF


class ErrorCode(IntEnum):
    """Why a device refuses a request."""

    UNKNOWN_REQUEST = 1
    MALFORMED = 2
    OUT_OF_RANGE = 3
    MODEL_FAILED = 4


class CounterKind(IntEnum):
    """The counter a device times with.

    `NONE`: the host build, whose ticks are all 0. `ESP_CPU`: the cycle counter of an ESP32's core. `MICROS`:
    microseconds, where a framework gives no more. `MCYCLE`: of a RISC-V core.
    """

    NONE = 0
    DWT = 1
    SYSTICK = 2
    NRF_TIMER = 3
    ESP_CPU = 4
    MICROS = 5
    MCYCLE = 6
    CMSDK_TIMER = 7


@dataclass(frozen=True)
class DeviceInfo:
    """What a device says of itself.

    Attributes:
        ready: Whether the model initialised; where it did not, only info, memory and reset work.
        counter_hz: Ticks of the counter in a second on the real chip; 0 where nothing counts.
        clock_hz: Cycles of the core in a second on the real chip; 0 on the host.
        arena_bytes: Size of the model's arena.
        stack_bytes: All that the stack may use; 0 where it is not known.
        frame_bytes: The longest body of a frame, which small models have shorter to save RAM.
        input_bytes: Size of each input.
        output_bytes: Size of each output.
        board: Name of the board the firmware was built for, its first 40 bytes.
        model_name: Name of the model, its first 40 bytes.
        model_sha256: Digest of the .tflite file the firmware was made from.
    """

    ready: bool
    counter: CounterKind
    counter_hz: int
    clock_hz: int
    arena_bytes: int
    stack_bytes: int
    layer_count: int
    frame_bytes: int
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]
    board: str
    model_name: str
    model_sha256: bytes

    @property
    def write_bytes(self) -> int:
        """Bytes of an input in one request: the most that leaves whole words in a body with its index and offset."""
        return (self.frame_bytes - _WRITE_HEAD_BYTES) // 4 * 4

    @property
    def most_layers(self) -> int:
        """Layers that one request may run."""
        return self.frame_bytes // _TICKS_BYTES

    @property
    def most_invokes(self) -> int:
        """Inferences that one request may ask for."""
        return min(MAX_INVOKES, self.most_layers)

    @classmethod
    def parse(cls, body: bytes) -> DeviceInfo:
        """Read the body of an info reply.

        Raises:
            ProtocolError: it is of another protocol version, or no info reply.
        """
        if body and body[0] != PROTOCOL_VERSION:
            raise ProtocolError(
                f"the firmware speaks protocol version {body[0]}, this is version {PROTOCOL_VERSION}",
                hint="build and flash the firmware again with the tinyml you are using",
            )
        try:
            return cls._parse(body)
        except (struct.error, ValueError, IndexError) as error:
            raise senseless_error("info", body) from error

    @classmethod
    def _parse(cls, body: bytes) -> DeviceInfo:
        head = struct.Struct("<4xBxH32s4I")
        state, counter, inputs, outputs = body[1], body[2], body[3], body[4]
        _, layers, sha256, counter_hz, clock_hz, arena, stack = head.unpack_from(body)
        sizes = struct.unpack_from(f"<{inputs + outputs}I", body, head.size)
        board, rest = _take_name(body[head.size + 4 * len(sizes) :])
        model, rest = _take_name(rest)
        frame_bytes = 4 * body[5]
        if rest or state > 1 or frame_bytes < max(_LEAST_BODY_BYTES, len(body)):
            raise ValueError("not an info reply")
        return cls(
            ready=state == 0,
            counter=CounterKind(counter),
            counter_hz=counter_hz,
            clock_hz=clock_hz,
            arena_bytes=arena,
            stack_bytes=stack,
            layer_count=layers,
            frame_bytes=frame_bytes,
            input_bytes=sizes[:inputs],
            output_bytes=sizes[inputs:],
            board=board,
            model_name=model,
            model_sha256=sha256,
        )


@dataclass(frozen=True)
class DeviceMemory:
    """Memory marks, in bytes. `stack_high_water` is the most the stack ever used; all 0 on the host but the arena."""

    stack_high_water: int
    stack_bytes: int
    arena_bytes: int

    @property
    def stack_overflowed(self) -> bool:
        """Whether the stack ran into other data, so that nothing the device says can be trusted."""
        return 0 < self.stack_bytes <= self.stack_high_water

    @classmethod
    def parse(cls, body: bytes) -> DeviceMemory:
        """Read the body of a memory reply. Raises ProtocolError where it is none."""
        try:
            return cls(*struct.unpack("<3I", body))
        except struct.error as error:
            raise senseless_error("memory", body) from error


def parse_ticks(body: bytes, count: int) -> list[int]:
    """Read the counter ticks of `count` inferences or layers. Raises ProtocolError where there are not as many."""
    if len(body) != 8 * count:
        raise senseless_error(f"{count} counter values", body)
    return list(struct.unpack(f"<{count}Q", body))


def refusal_error(request: MessageType, code: int) -> ProtocolError:
    """The error for a request that the device refused."""
    reasons = {
        ErrorCode.UNKNOWN_REQUEST: "it does not know this request",
        ErrorCode.MALFORMED: "the request has the wrong size",
        ErrorCode.OUT_OF_RANGE: "it has no such input, output, layer or byte, or the count is too large",
        ErrorCode.MODEL_FAILED: "the model did not initialise: its arena is too small or not aligned",
    }
    reason = reasons[ErrorCode(code)] if code in set(ErrorCode) else f"error {code}"
    return ProtocolError(
        f"the device refused {request.name.lower()}: {reason}",
        hint="build and flash the firmware again; if it stays, this is a bug of tinyml",
    )


def fault_error(body: bytes) -> TargetError:
    """The error for a device that says that its program has crashed."""
    try:
        exception, pc, lr, status, address, stack, stack_limit = struct.unpack("<7I", body)
    except struct.error:
        return senseless_error("fault", body)
    is_riscv = exception >= _RISCV_EXCEPTION
    if is_riscv:
        cause, number = _trap_cause(exception - _RISCV_EXCEPTION), f"mcause {exception - _RISCV_EXCEPTION}"
    else:
        cause, number = _fault_cause(status), f"exception {exception}, CFSR {status:#010x}"
    cause = "stack overflow" if stack < stack_limit else cause
    touched = f", touching {address:#010x}" if address else ""
    return TargetError(
        f"the program crashed ({cause}{touched}) at pc {pc:#010x}, called from {lr:#010x}, sp {stack:#010x}, {number}",
        hint="look the addresses up with `addr2line -f -e build/firmware.elf PC`; reset the board to go on",
    )


_RISCV_EXCEPTION = 64  # PORT_EXCEPTION_RISCV


def _trap_cause(number: int) -> str:
    """The name of an exception (RISC-V Instruction Set Manual, volume II, table 3.6)."""
    causes = {
        0: "misaligned jump",
        1: "instruction access fault",
        2: "illegal instruction",
        3: "breakpoint",
        4: "misaligned load",
        5: "load access fault",
        6: "misaligned store",
        7: "store access fault",
        11: "call to the system",
    }
    return causes.get(number, "trap")


def _fault_cause(status: int) -> str:
    """The first cause in an Armv7-M configurable fault status register (Armv7-M ARM, B3.2.15)."""
    causes = {
        0: "instruction access violation",
        1: "data access violation",
        3: "memory fault on return from an exception",
        4: "memory fault on entry to an exception",
        8: "bus error on an instruction",
        9: "bus error",
        10: "bus error, imprecise",
        11: "bus error on return from an exception",
        12: "bus error on entry to an exception",
        16: "undefined instruction",
        17: "invalid state",
        18: "invalid return from an exception",
        19: "no coprocessor or FPU",
        24: "unaligned access",
        25: "division by zero",
    }
    return next((cause for bit, cause in causes.items() if status >> bit & 1), "hard fault")


def _take_name(data: bytes) -> tuple[str, bytes]:
    """A length byte and as many bytes of text, and what follows."""
    end = 1 + data[0]
    if len(data) < end:
        raise ValueError("a name is cut off")
    return data[1:end].decode("utf-8", "replace"), data[end:]


def senseless_error(what: str, body: bytes) -> ProtocolError:
    """The error for a reply that cannot be right, `what` it should have been."""
    return ProtocolError(
        f"the device's answer makes no sense: {what} in {len(body)} bytes ({body[:16].hex(' ')}…)",
        hint="build and flash the firmware again with the tinyml you are using",
    )
