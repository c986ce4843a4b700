"""What the application for MLPerf Tiny's runner has to know of a model: which benchmark, what is loaded and printed.

The four benchmarks are recognised by the sizes of their input and output, as any model that the runner's data fit has
these. How each loads and prints is that of the reference submission (mlcommons/tiny, benchmark/reference_submissions:
`th_load_tensor` and `th_results` of its four submitter_implemented.cpp).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..errors import ModelError
from ..graph import DType, Graph, Tensor

__all__ = ["MlperfTask", "mlperf_task"]

_PIXEL_ZERO_POINT = -128


@dataclass(frozen=True)
class MlperfTask:
    """One benchmark, as the runner and the firmware see it.

    Attributes:
        model: What the firmware answers to `profile`; the runner chooses its test by it.
        loads: What the runner loads for an inference. `bytes`: the input as the model stores it. `pixels`: 0 to 255,
            stored as -128 to 127. `floats`: real values, float32 in little-endian order.
        prints: `scores`, the output in real units; `error`, the mean of the squared differences between the floats
            that were loaded and the output.
    """

    model: str
    loads: Literal["bytes", "pixels", "floats"]
    prints: Literal["scores", "error"]


_TASKS = {
    (49 * 10, 12): MlperfTask("kws01", "bytes", "scores"),
    (96 * 96 * 3, 2): MlperfTask("vww01", "pixels", "scores"),
    (32 * 32 * 3, 10): MlperfTask("ic01", "pixels", "scores"),
    (5 * 128, 5 * 128): MlperfTask("ad01", "floats", "error"),
}
"""By the number of elements of input and output."""


def mlperf_task(graph: Graph) -> MlperfTask:
    """The benchmark of a model; for one that is none of the four, the way that is usual for such inputs.

    Raises:
        ModelError: the model has several inputs or outputs, or one that is not int8.
    """
    inputs, outputs = graph.input_tensors, graph.output_tensors
    if len(inputs) != 1 or len(outputs) != 1:
        raise _unsuitable(graph, f"{len(inputs)} inputs and {len(outputs)} outputs")
    for kind, tensor in (("an input", inputs[0]), ("an output", outputs[0])):
        if tensor.dtype is not DType.INT8 or tensor.quantization is None:
            raise _unsuitable(graph, f"{kind} of {tensor.dtype.value}")
    sizes = inputs[0].bytes, outputs[0].bytes
    return _TASKS.get(sizes) or _other(graph, inputs[0], outputs[0])


def _other(graph: Graph, given: Tensor, computed: Tensor) -> MlperfTask:
    if given.shape == computed.shape:
        return MlperfTask(graph.name, "floats", "error")
    loads: Literal["pixels", "bytes"] = "pixels" if given.zero_point == _PIXEL_ZERO_POINT else "bytes"
    return MlperfTask(graph.name, loads, "scores")


def _unsuitable(graph: Graph, has: str) -> ModelError:
    return ModelError(
        f"the application mlperf takes models with one int8 input and one int8 output; this one has {has}",
        where=graph.source,
        hint="leave out --app mlperf: the benchmark application takes any model",
    )
