"""TinyML SDK: int8 neural networks on microcontrollers, compiled to C, verified byte for byte and measured.

Each command of `tinyml` is one function here:

- `inspect_model`: layers, cost and memory plan of a model; whether it fits a board
- `generate`: the model as C, alone or as a firmware project
- `build_firmware`: the project compiled
- `flash_firmware`: put on a board
- `benchmark`: run, compared with the reference and measured
- `load_result`, `compare_results`: two measurements side by side
- `compress_model`: a Keras model made smaller by a recipe of stages, each measured on the int8 model
- `quantize_model`: a Keras model as an int8 .tflite file, checked and measured
- `Board`: a board, real or emulated, whose loaded models are functions of NumPy arrays
- `detect_boards`: what is plugged in
- `list_boards`, `load_board`, `diagnose`: what there is to run on and with

Everything is imported when it is first used, so `import tinyml_sdk` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bench.benchmark import benchmark
    from .bench.comparison import Comparison, compare_results, load_result
    from .bench.result import BenchResult
    from .boards import list_boards, load_board
    from .compress import CompressionResult, Recipe, load_recipe
    from .compress.pipeline import compress_model
    from .detect import DetectedPort, detect_boards
    from .device import Board, Session
    from .doctor import Finding, diagnose
    from .errors import (
        BoardError,
        BuildError,
        CheckError,
        DeviceResetError,
        DeviceTimeoutError,
        FitError,
        FlashError,
        InputError,
        MismatchError,
        MissingToolError,
        ModelError,
        PortBusyError,
        ProtocolError,
        RegressionError,
        TargetError,
        TinymlError,
        ToolError,
    )
    from .firmware import Firmware, Inspection, build_firmware, generate, inspect_model
    from .flashing import flash_firmware
    from .graph import Graph, read_graph
    from .quantize import QuantizationResult, quantize_model

__version__ = "0.1.0"

__all__ = [
    "BenchResult",
    "Board",
    "BoardError",
    "BuildError",
    "CheckError",
    "Comparison",
    "CompressionResult",
    "DetectedPort",
    "DeviceResetError",
    "DeviceTimeoutError",
    "Finding",
    "Firmware",
    "FitError",
    "FlashError",
    "Graph",
    "InputError",
    "Inspection",
    "MismatchError",
    "MissingToolError",
    "ModelError",
    "PortBusyError",
    "ProtocolError",
    "QuantizationResult",
    "Recipe",
    "RegressionError",
    "Session",
    "TargetError",
    "TinymlError",
    "ToolError",
    "__version__",
    "benchmark",
    "build_firmware",
    "compare_results",
    "compress_model",
    "detect_boards",
    "diagnose",
    "flash_firmware",
    "generate",
    "inspect_model",
    "list_boards",
    "load_board",
    "load_recipe",
    "load_result",
    "quantize_model",
    "read_graph",
]

_HOMES = {
    "BenchResult": "bench.result",
    "Board": "device",
    "Comparison": "bench.comparison",
    "CompressionResult": "compress",
    "DetectedPort": "detect",
    "Finding": "doctor",
    "Firmware": "firmware",
    "Graph": "graph",
    "Inspection": "firmware",
    "QuantizationResult": "quantize",
    "Recipe": "compress",
    "Session": "device",
    "benchmark": "bench.benchmark",
    "build_firmware": "firmware",
    "compare_results": "bench.comparison",
    "compress_model": "compress.pipeline",
    "detect_boards": "detect",
    "diagnose": "doctor",
    "flash_firmware": "flashing",
    "generate": "firmware",
    "inspect_model": "firmware",
    "list_boards": "boards",
    "load_board": "boards",
    "load_recipe": "compress",
    "load_result": "bench.comparison",
    "quantize_model": "quantize",
    "read_graph": "graph",
}
"""The module of each public name; those not listed are errors."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOMES.get(name, 'errors')}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
