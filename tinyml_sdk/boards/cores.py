"""What each processor core can do. Kernels are selected, and compilers told, by these features."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CORES", "Core"]


@dataclass(frozen=True)
class Core:
    """One processor core.

    Attributes:
        name: As compilers write it, `cortex-m4`, `cortex-m33+nodsp`.
        title: As people write it, `Arm Cortex-M4`.
        isa: Instruction set: `armv6-m`, `armv7-m`, `armv7e-m`, `armv8-m.main`, `armv8.1-m.main`, `rv32imc`, `xtensa`.
        features: What kernels may use: `scalar` (one number to a register), `dsp` (SMLAD, SXTB16), `mve` (vectors of
            128 bits), `long-multiply` (32 x 32 -> 64 in one instruction), `many-registers` (some thirty),
            `low-registers` (products need one of eight, and destroy it: Armv6-M), `dwt` (a cycle counter in the core).
        fpus: The FPUs the core can be built with, `none` included.
    """

    name: str
    title: str
    isa: str
    features: frozenset[str]
    fpus: tuple[str, ...]

    @property
    def family(self) -> str:
        """The name without what an implementation leaves out."""
        return self.name.partition("+")[0]

    def has(self, feature: str) -> bool:
        """Whether kernels and ports may rely on `feature`."""
        return feature in self.features


def _core(name: str, title: str, isa: str, features: str, fpus: str = "none") -> Core:
    return Core(name, title, isa, frozenset(features.split()), tuple(fpus.split()))


CORES: dict[str, Core] = {
    core.name: core
    for core in (
        _core("cortex-m0", "Arm Cortex-M0", "armv6-m", "scalar low-registers"),
        _core("cortex-m0plus", "Arm Cortex-M0+", "armv6-m", "scalar low-registers"),
        _core("cortex-m3", "Arm Cortex-M3", "armv7-m", "scalar long-multiply dwt"),
        _core("cortex-m4", "Arm Cortex-M4", "armv7e-m", "long-multiply dwt dsp", "none fpv4-sp-d16"),
        _core("cortex-m7", "Arm Cortex-M7", "armv7e-m", "long-multiply dwt dsp", "none fpv5-sp-d16 fpv5-d16"),
        _core("cortex-m33", "Arm Cortex-M33", "armv8-m.main", "long-multiply dwt dsp", "none fpv5-sp-d16"),
        _core(
            "cortex-m33+nodsp",
            "Arm Cortex-M33 without DSP",
            "armv8-m.main",
            "scalar long-multiply dwt",
            "none fpv5-sp-d16",
        ),
        _core("cortex-m55", "Arm Cortex-M55", "armv8.1-m.main", "long-multiply dwt dsp mve", "fpv5-d16"),
        _core("riscv32imc", "RISC-V RV32IMC", "rv32imc", "scalar long-multiply many-registers"),
        _core("riscv32imac", "RISC-V RV32IMAC", "rv32imac", "scalar long-multiply many-registers"),
        _core("xtensa-lx6", "Xtensa LX6", "xtensa", "scalar long-multiply", "none xtensa-sp"),
        _core("xtensa-lx7", "Xtensa LX7", "xtensa", "scalar long-multiply", "none xtensa-sp"),
    )
}
