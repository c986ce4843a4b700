"""How compilers are told a board's core and FPU. Toolchains use these flags, and so do generated build files."""

from __future__ import annotations

from ..errors import BoardError
from .model import Board

__all__ = ["gnu_cpu_flags", "is_arm", "tflm_architecture", "tflm_make_flags", "zig_cpu_flags"]

# Zig's own spelling of core and FPU. It turns a core's FPU and DSP extension off unless they are named.
_ZIG_CPU = {
    ("cortex-m0", "none"): "cortex_m0",
    ("cortex-m0plus", "none"): "cortex_m0plus",
    ("cortex-m3", "none"): "cortex_m3",
    ("cortex-m4", "none"): "cortex_m4",
    ("cortex-m4", "fpv4-sp-d16"): "cortex_m4+vfp4d16sp",
    ("cortex-m7", "none"): "cortex_m7",
    ("cortex-m7", "fpv5-sp-d16"): "cortex_m7+fp_armv8d16sp",
    ("cortex-m7", "fpv5-d16"): "cortex_m7+fp_armv8d16",
    ("cortex-m33", "none"): "cortex_m33+dsp",
    ("cortex-m33", "fpv5-sp-d16"): "cortex_m33+fp_armv8d16sp+dsp",
    ("cortex-m33+nodsp", "none"): "cortex_m33",
    ("cortex-m33+nodsp", "fpv5-sp-d16"): "cortex_m33+fp_armv8d16sp",
    ("riscv32imc", "none"): "generic_rv32+m+c+zicsr",
    ("riscv32imac", "none"): "generic_rv32+m+a+c+zicsr",
    ("cortex-m55", "fpv5-d16"): "cortex_m55+mve_fp+fp_armv8d16",
}


def is_arm(board: Board) -> bool:
    """Whether the board's core is one of Arm's."""
    return board.core_spec.isa.startswith("arm")


def gnu_cpu_flags(board: Board) -> tuple[str, ...]:
    """For `arm-none-eabi-gcc`. Raises BoardError for a board with another core."""
    if not is_arm(board):
        raise BoardError(
            f"arm-none-eabi-gcc compiles for Arm only, not for a {board.core}",
            where=board.name,
            hint="use --toolchain zig",
        )
    # Any other FPU than the core's own takes MVE away.
    if board.core_spec.has("mve"):
        return f"-mcpu={board.core}", "-mthumb", "-mfpu=auto", "-mfloat-abi=hard"
    fpu = ("-mfloat-abi=soft",) if board.fpu == "none" else (f"-mfpu={board.fpu}", "-mfloat-abi=hard")
    return f"-mcpu={board.core}", "-mthumb", *fpu


def zig_cpu_flags(board: Board) -> tuple[str, ...]:
    """For `zig cc`."""
    if is_arm(board):
        target = f"thumb-freestanding-{'eabi' if board.fpu == 'none' else 'eabihf'}"
    else:
        target = "riscv32-freestanding-none"
    return "-target", target, f"-mcpu={_ZIG_CPU[board.core, board.fpu]}"


def tflm_architecture(board: Board) -> str:
    """TARGET_ARCH of TFLM's Makefile for the target cortex_m_generic (targets/cortex_m_generic_makefile.inc)."""
    if board.fpu == "none":
        return "cortex-m33+nodsp" if board.core_spec.family == "cortex-m33" else board.core
    return f"{board.core}+fp" if board.core in ("cortex-m4", "cortex-m7") else board.core


def tflm_make_flags(board: Board) -> str:
    """What tells TFLM's Makefile a board's core and FPU. By itself it takes a Cortex-M7's for double precision."""
    single = " FPU=fpv5-sp-d16" if (board.core, board.fpu) == ("cortex-m7", "fpv5-sp-d16") else ""
    return f"TARGET=cortex_m_generic TARGET_ARCH={tflm_architecture(board)}{single}"
