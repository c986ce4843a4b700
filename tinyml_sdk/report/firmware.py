"""The reports of `tinyml generate` and `tinyml build`."""

from __future__ import annotations

from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from ..codegen import GeneratedProject, ModelSource
from ..firmware import Firmware
from .console import add_column, bytes_of, figure, plain_table, share, sized

__all__ = ["firmware_report", "generated_report"]


def generated_report(written: ModelSource | GeneratedProject, folder: Path) -> RenderableType:
    """What was written, and where."""
    what = "model library" if isinstance(written, ModelSource) else "firmware project"
    lines = [_path_line("wrote", f"a {what} of {len(written.files):,} files to {folder}")]
    if isinstance(written, ModelSource):
        takes = "the file takes" if written.runtime == "tflm" else "the weights take"
        lines.append(Text(f"include {written.name}.h; {takes} {bytes_of(written.weight_bytes)} of flash"))
    return Group(*lines)


def firmware_report(firmware: Firmware) -> RenderableType:
    """The image, and what it takes of the board's flash and RAM."""
    memory, board, build = firmware.memory, firmware.board, firmware.build
    table = plain_table(header=False)
    add_column(table)
    add_column(table, "", "right")
    add_column(table)
    static = memory.data + memory.bss
    table.add_row(
        "flash",
        bytes_of(memory.flash),
        f"code {figure(memory.code)} + weights {figure(memory.weights)}, {_of(memory.flash, board.flash.size)}",
    )
    table.add_row("RAM", bytes_of(static), f"arena and static data, without the stack, {_of(static, board.ram.size)}")
    made = f"runtime {firmware.runtime}"
    return Group(
        _path_line("built", str(firmware.elf)),
        Text(f"{made} for {board.name}, by {build.toolchain} {build.version}, optimized for {firmware.optimize}"),
        table,
    )


def _path_line(done: str, rest: str) -> Text:
    """A line that ends in a path, which stays whole however long it is: people copy it."""
    return Text.assemble((done, "green"), " ", rest, no_wrap=True, overflow="ignore")


def _of(part: int, whole: int) -> str:
    return f"{share(part, whole)} of {sized(whole)}"
