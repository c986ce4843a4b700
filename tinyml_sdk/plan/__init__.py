"""The order of layers, tensor lifetimes, placement in the arena, and whether a model fits a board."""

from .fit import Fit, check_fit, measure_fit
from .memory import LiveBuffer, MemoryPlan, plan_memory
from .order import order_layers
from .row_schedule import Place, RowBuffer
from .streaming import Streaming, stream_layers
from .streams import Phase, RowLayer, StreamedLayer

__all__ = [
    "Fit",
    "LiveBuffer",
    "MemoryPlan",
    "Phase",
    "Place",
    "RowBuffer",
    "RowLayer",
    "StreamedLayer",
    "Streaming",
    "check_fit",
    "measure_fit",
    "order_layers",
    "plan_memory",
    "stream_layers",
]
