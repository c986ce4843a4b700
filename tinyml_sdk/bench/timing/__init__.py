"""Cycles of instructions, core by core: by Arm's table where there is one, else by the pipeline as others describe it.

| module | |
| --- | --- |
| `base` | what a core's timing answers |
| `table` | Cortex-M0, M0+, M3 and M4: a number for each instruction, from Arm's technical reference manuals |
| `pipeline` | cores that overlap instructions or issue two at a time: when each instruction of a block is issued |
| `cortex_m7`, `cortex_m33` | the rules and latencies of two such cores, each with its source |

Cortex-M55 is not here: it runs in QEMU, which does not tell what it executed. Of the RISC-V and Xtensa cores of ESP32
nobody publishes cycles of instructions.
"""

from __future__ import annotations

from .base import BlockCycles, Cycles, Timing
from .cortex_m7 import CORTEX_M7
from .cortex_m33 import CORTEX_M33
from .table import CORTEX_M0, CORTEX_M0PLUS, CORTEX_M3, CORTEX_M4

__all__ = ["CORE_TIMINGS", "BlockCycles", "Cycles", "Timing"]

CORE_TIMINGS: dict[str, Timing] = {
    "cortex-m0": CORTEX_M0,
    "cortex-m0plus": CORTEX_M0PLUS,
    "cortex-m3": CORTEX_M3,
    "cortex-m4": CORTEX_M4,
    "cortex-m7": CORTEX_M7,
    "cortex-m33": CORTEX_M33,
    "cortex-m33+nodsp": CORTEX_M33,
}
"""By core. Of others nothing is known."""
