"""The interpreter's arena, sized by running it: on the core that it is for, in an emulator, before the firmware is
built.

What a model needs depends on the core, the library and the compiler, not on the board. So it is measured on an
emulated board that has the core and megabytes of RAM, whatever board the firmware is for.
"""

from __future__ import annotations

import importlib.util
import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ..boards import Board, load_board
from ..codegen import ArenaSize, Optimize, generate_tflm_model, write_folder
from ..codegen.tflm_sizing import generate_sizing_project
from ..errors import FitError, TargetError
from ..graph import Graph
from ..link import ByteStream
from ..ops import Layer
from ..targets import Target, open_target
from ..toolchains import BuildJob, Library, Toolchain

__all__ = ["measure_arena"]

_STAND_INS = {
    "cortex-m0": "mps2-cm0plus",
    "cortex-m0plus": "mps2-cm0plus",
    "cortex-m33": "mps2-an505",
    "cortex-m55": "mps3-an547",
}
_STAND_IN = "mps2-an386"
"""Emulated boards with megabytes of RAM, by core. A Cortex-M4's runs what is built for a Cortex-M3 or M7 as well."""

_DEADLINE_S = 300.0
_OTHER_RAM_BYTES = 128 * 1024
"""What is left to stack and static data of the sizing firmware."""

_ANSWER = re.compile(rb"arena (\d+) used (\d+)\n")
_FAULT = re.compile(rb"fault at (\d+)\n")


def measure_arena(
    graph: Graph, layers: Sequence[Layer], data: bytes, board: Board, library: Library, toolchain: Toolchain,
    optimize: Optimize,
) -> ArenaSize:  # fmt: skip
    """Run the model in ever less memory, to the least in which its outputs stay the same.

    Args:
        graph, layers, data: The model, as `generate_tflm_model` takes them.
        board: What the firmware is for: its core and FPU matter.
        library: TFLM, built for that core.
        toolchain: What links it.
        optimize: As the firmware.

    Raises:
        FitError: the model does not fit the megabytes of the emulated board.
        TargetError: the firmware that measures crashes or does not answer.
        MissingToolError, BuildError: as for `Toolchain.build`; or there is no emulator.
    """
    stand_in = _stand_in(board)
    ram = stand_in.ram.size - _OTHER_RAM_BYTES
    source = generate_tflm_model(graph, layers, data, ArenaSize(1, "Not known yet."))
    project = generate_sizing_project(graph, source, stand_in, optimize)
    with tempfile.TemporaryDirectory(prefix="tinyml-arena-") as folder, _open(stand_in) as target:
        root = Path(folder) / "project"
        write_folder(root, project.files, project.manifest)
        job = BuildJob(
            root=root,
            sources=project.sources,
            include_dirs=project.include_dirs,
            linker_script=project.linker_script,
            board=stand_in,
            optimize=optimize,
            output=root / "build" / "firmware.elf",
            defines=(f"SIZING_ARENA_BYTES={ram}u",),
            library=library,
        )
        target.load(toolchain.build(job).elf)
        needed, used = _answer(target.open(), graph)
    if needed == 0:
        raise FitError(
            f"TensorFlow Lite Micro cannot set the model up in {ram:,} bytes, or cannot run it at all",
            where=graph.source,
            hint="choose --runtime aot; with a TFLM library that has its error texts (BUILD_TYPE=default), a debugger "
            "shows what it says",
        )
    origin = (
        f"The least in which TensorFlow Lite Micro sets the model up and runs it, found by running it on an emulated "
        f"{board.core_spec.title}. Of it {used:,} bytes are taken in the end (arena_used_bytes)."
    )
    return ArenaSize(needed, origin)


def _stand_in(board: Board) -> Board:
    emulated = load_board(_STAND_INS.get(board.core_spec.family, _STAND_IN))
    return emulated.model_copy(update={"core": board.core, "fpu": board.fpu})


def _open(board: Board) -> Target:
    """The builtin emulator, or QEMU where that is not installed or does not have the core."""
    without_builtin = importlib.util.find_spec("unicorn") is None and board.emulators.qemu is not None
    return open_target("qemu" if without_builtin else None, board)


def _answer(console: ByteStream, graph: Graph) -> tuple[int, int]:
    """Bytes that are needed, and bytes that TFLM says it uses."""
    said, deadline = b"", time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline:
        said += console.read(min(deadline, time.monotonic() + 1.0))
        if answer := _ANSWER.search(said):
            return int(answer[1]), int(answer[2])
        if fault := _FAULT.search(said):
            raise TargetError(
                f"TensorFlow Lite Micro crashed at {int(fault[1]):#010x} while its arena was measured",
                where=graph.source,
                hint="the model asks for something that this version of TFLM cannot do; --runtime aot may",
            )
    raise TargetError(
        f"the firmware that measures TFLM's arena did not answer within {_DEADLINE_S:g} s",
        where=graph.source,
        hint="try again on a machine with less to do; if it stays so, report the model as an issue",
    )
