"""Are the int4 weights in the file those that were chosen?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ToolError
from ..graph import ABSENT, Graph, Op
from .fake_quantization import INT4_STEPS
from .result import LayerWeights

__all__ = ["check_int4_weights"]


def check_int4_weights(graph: Graph, layers: Sequence[LayerWeights]) -> None:
    """As many layers of four bits as were chosen, in the narrow range, and biases scaled to match.

    Args:
        graph: The model.
        layers: What was decided.

    Raises:
        ToolError: the file says otherwise.
    """
    found: dict[int, int] = {}
    for op in graph.ops:
        weights = graph.tensors[op.inputs[1]] if len(op.inputs) > 1 and op.inputs[1] != ABSENT else None
        if weights is None or not weights.packed:
            continue
        assert weights.data is not None
        assert weights.quantization is not None
        found[weights.index] = weights.elements
        if np.abs(weights.data.astype(np.int64)).max() > INT4_STEPS or any(weights.quantization.zero_point):
            raise _miswritten(graph, op, "weights outside -7 ... 7")
        bias = graph.tensors[op.inputs[2]] if len(op.inputs) > 2 and op.inputs[2] != ABSENT else None
        if bias is None or bias.quantization is None:
            continue
        products = np.float32(graph.tensors[op.inputs[0]].scale) * np.asarray(weights.quantization.scale, np.float32)
        if not np.allclose(bias.quantization.scale, products, rtol=1e-6, atol=0):
            raise _miswritten(graph, op, "a bias in another scale than its products")
    wanted = sorted(layer.count for layer in layers if layer.bits == 4)
    if sorted(found.values()) != wanted:
        raise ToolError(
            f"{len(found)} layers of the file have int4 weights, where {len(wanted)} were chosen",
            where=graph.source,
            hint="use --weights int8, and report the model",
        )


def _miswritten(graph: Graph, op: Op, what: str) -> ToolError:
    return ToolError(
        f"has {what}",
        where=f"{graph.source}: op {op.index} ({op.name})",
        hint="use --weights int8, and report the model",
    )
