"""The order of layers, tensor lifetimes, placement in the arena, and whether a model fits a board.

An arena becomes small in three steps, each judged by the next:

1. `order.py` takes the order of layers in which the fewest bytes live at a time; of an output and a dying input that it
   may run over (the layer's `lead`), the bytes that both share count once.
2. `streaming.py` lets chains of these layers run some rows at a time, where that lowers the peak: `chains.py` has what
   a chain costs, `row_schedule.py` which rows are made when, `streams.py` the chain as one layer.
3. `memory.py` gives every tensor and scratch buffer its offset: `buffers.py` has who lives when and who may overlap,
   `placement.py` searches.

`fit.py` compares the result with a board.
"""

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
