"""A TFLM tree as its own Makefile leaves it: the headers, and of the libraries below `gen/` the one for a board's core.

    make -f tensorflow/lite/micro/tools/make/Makefile TARGET=cortex_m_generic TARGET_ARCH=cortex-m4+fp \\
        OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release microlite

Each library tells by itself what it was built for: the first object's Arm build attributes (ELF for the Arm
Architecture, "Addenda: build attributes") have core and FPU, the archive's symbol table the kernels and the log.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from ..boards import Board
from ..boards.compiler_flags import tflm_architecture, tflm_make_flags
from ..errors import InputError
from ..toolchains import Library

__all__ = ["find_library"]

_ARCHIVE = "libtensorflow-microlite.a"
_HEADER = "tensorflow/lite/micro/micro_interpreter.h"
_MAKEFILE = "tensorflow/lite/micro/tools/make/Makefile"

_THIRD_PARTY = (
    "tensorflow/lite/micro/tools/make/downloads/{}",  # where the Makefile puts it
    "third_party/{}",  # where a tree made by create_tflm_tree.py has it
)
_NEEDED_HEADERS = ("flatbuffers/include", "gemmlowp", "ruy")

_ARCHITECTURES = {10: "armv7-m", 11: "armv6-m", 12: "armv6-m", 13: "armv7e-m", 17: "armv8-m.main", 21: "armv8.1-m.main"}
"""Values of Tag_CPU_arch. 12 is Armv6-M with the system extension; 10 is all of Armv7."""

_RUNS = {
    "armv6-m": 0,
    "armv7-m": 1,
    "armv7e-m": 2,
    "armv8-m.main": 3,
    "armv8.1-m.main": 4,
}
"""A core runs what was built for its own architecture and for those before it."""

_DOUBLE_PRECISION_FPUS = ("fpv5-d16",)

_FPV5 = (7, 8)
"""Values of Tag_FP_arch: FPv5, which has instructions that a Cortex-M4's FPU has not."""


@dataclass(frozen=True)
class _Built:
    """What a library was built for.

    Attributes:
        hard_float: Whether floats are passed in FPU registers.
        double_precision: Whether it may use an FPU's double precision.
        fpv5: Whether it may use what an FPv5 has and an FPv4 has not.
        cmsis_nn: Whether it has CMSIS-NN's kernels.
        logs: Whether it has the texts of errors, and with them newlib's printf.
    """

    archive: Path
    architecture: str
    hard_float: bool
    double_precision: bool
    fpv5: bool
    cmsis_nn: bool
    logs: bool

    def misfit(self, board: Board) -> str:
        """Why the board cannot run it, empty where it can."""
        if self.architecture not in _RUNS:
            return f"is built for {self.architecture}"
        if _RUNS[self.architecture] > _RUNS[board.core_spec.isa]:
            return f"is built for {self.architecture}, a {board.core} is {board.core_spec.isa}"
        if self.hard_float and board.fpu == "none":
            return "needs an FPU, and the board file names none"
        if self.hard_float and self.fpv5 and board.fpu.startswith("fpv4"):
            return f"needs an FPv5, the board's FPU is {board.fpu}"
        if self.hard_float and self.double_precision and board.fpu not in _DOUBLE_PRECISION_FPUS:
            return f"needs an FPU for double precision, the board's is {board.fpu}"
        return ""

    def preference(self, board: Board) -> tuple[Any, ...]:
        """The larger the better: the core's own instructions, its FPU, CMSIS-NN, no texts, the core's name."""
        own = _RUNS[self.architecture]
        named = f"_{tflm_architecture(board)}_" in str(self.archive)
        fpu = self.hard_float, self.fpv5, self.double_precision
        return own, *fpu, self.cmsis_nn, not self.logs, named, str(self.archive)


def find_library(root: str | Path, board: Board) -> Library:
    """The library in a TFLM tree that suits a board best: built for its core, with CMSIS-NN, without texts of errors.

    Args:
        root: The tree: the folder that has `tensorflow/`.
        board: Whose core is to run it.

    Raises:
        InputError: there are no headers, no library, or none that the board can run.
    """
    tree = Path(root)
    if board.core_spec.isa not in _RUNS:
        raise InputError(
            f"runtime tflm links libraries for Cortex-M, this board has a {board.core}",
            where=board.name,
            hint="use --project esp_idf or platformio, which bring TensorFlow Lite Micro themselves; or --runtime aot",
        )
    include_dirs = _include_dirs(tree)
    candidates = [_inspect(archive) for archive in sorted(tree.glob(f"**/{_ARCHIVE}"))]
    if not candidates:
        raise InputError(f"there is no {_ARCHIVE} in this tree", where=str(tree), hint=_make_hint(board))
    misfits = {candidate.archive: candidate.misfit(board) for candidate in candidates}
    fitting = [candidate for candidate in candidates if not misfits[candidate.archive]]
    if not fitting:
        archive, reason = next(iter(misfits.items()))
        others = f" (and {len(misfits) - 1} more that do not suit {board.name})" if len(misfits) > 1 else ""
        raise InputError(f"this library {reason}{others}", where=str(archive.relative_to(tree)), hint=_make_hint(board))
    chosen = max(fitting, key=lambda candidate: candidate.preference(board))
    name = f"tflm:{chosen.archive.parents[1].name}"
    return Library(name, chosen.archive.resolve(), include_dirs, _defines(chosen), chosen.hard_float)


def _include_dirs(tree: Path) -> tuple[Path, ...]:
    if not (tree / _HEADER).is_file():
        raise InputError(
            f"this is no TFLM tree: it has no {_HEADER}",
            where=str(tree),
            hint="--tflm-root is the folder that has tensorflow/, a checkout of tensorflow/tflite-micro",
        )
    found = []
    for name in _NEEDED_HEADERS:
        places = [tree / pattern.format(name) for pattern in _THIRD_PARTY]
        place = next((folder for folder in places if folder.is_dir()), None)
        if place is None:
            raise InputError(
                f"the headers of {name.partition('/')[0]} are missing",
                where=str(places[0]),
                hint=f"TFLM's Makefile downloads them: make -f {_MAKEFILE} third_party_downloads",
            )
        found.append(place.resolve())
    return tree.resolve(), *found


def _make_hint(board: Board) -> str:
    flags = tflm_make_flags(board)
    return f"in the tree: make -f {_MAKEFILE} {flags} OPTIMIZED_KERNEL_DIR=cmsis_nn BUILD_TYPE=release microlite"


def _defines(built: _Built) -> tuple[str, ...]:
    """As the Makefile defines: the first changes the layout of structs, the others which functions headers declare."""
    defines = ["TF_LITE_STATIC_MEMORY"]
    if built.cmsis_nn:
        defines.append("CMSIS_NN")
    if not built.logs:
        defines += ["NDEBUG", "TF_LITE_STRIP_ERROR_STRINGS"]
    return tuple(defines)


# -- archives -----------------------------------------------------------------------------------------------------


def _inspect(archive: Path) -> _Built:
    try:
        members = list(_members(archive.read_bytes()))
        symbols = next((data for name, data in members if name == "/"), b"")
        first = next((data for _, data in members if data.startswith(b"\x7fELF")), None)
        attributes = _attributes(first) if first is not None else None
    except (OSError, ValueError, ELFError) as error:
        raise InputError(f"is not an archive: {error}", where=str(archive), hint="build it again") from error
    if attributes is None:
        raise InputError(
            "holds no code for Arm cores", where=str(archive), hint="build TFLM with TARGET=cortex_m_generic"
        )
    return _Built(
        archive=archive,
        architecture=_ARCHITECTURES.get(attributes.get("TAG_CPU_ARCH", 0), "another architecture"),
        hard_float=attributes.get("TAG_ABI_VFP_ARGS", 0) == 1,
        double_precision=attributes.get("TAG_ABI_HARDFP_USE", 0) != 1,
        fpv5=attributes.get("TAG_FP_ARCH", 0) in _FPV5,
        cmsis_nn=b"Register_CONV_2D_INT8" in symbols,
        logs=b"MicroPrintf" in symbols,
    )


def _members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of each member of a Unix archive, common format; the symbol table is called `/`."""
    if not data.startswith(b"!<arch>\n"):
        raise ValueError("it does not begin with !<arch>")
    position = 8
    while position + 60 <= len(data):
        header = data[position : position + 60]
        size = int(header[48:58])
        yield header[:16].decode("latin-1").rstrip(), data[position + 60 : position + 60 + size]
        position += 60 + size + size % 2


def _attributes(member: bytes) -> dict[str, int] | None:
    """The numeric build attributes of an Arm object."""
    image: Any = ELFFile(io.BytesIO(member))
    section = image.get_section_by_name(".ARM.attributes")
    if image["e_machine"] != "EM_ARM" or section is None:
        return None
    return {
        attribute.tag: attribute.value
        for subsection in section.iter_subsections()
        for subsubsection in subsection.iter_subsubsections()
        for attribute in subsubsection.iter_attributes()
        if isinstance(attribute.value, int)
    }
