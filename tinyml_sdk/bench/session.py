"""One measuring session: load the firmware, run every input, read the costs, and find where an answer goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import TargetError
from ..firmware import Inspection
from ..graph import Graph
from ..link import Client, DeviceInfo
from ..targets import Target
from .reference import Reference
from .transfer import read_arena_tensor, read_outputs, write_inputs

__all__ = ["Measurement", "first_divergent_layer", "measure"]

Array = npt.NDArray[Any]
Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and of how much."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the device answered. Counts are in the target's unit, instructions or cycles.

    Attributes:
        outputs: For each input its output arrays.
        counts: For each inference the count of one invoke.
        layer_counts: For each layer its count in one inference that is run layer by layer.
        resolution: Of one tick of the counter, in the same unit.
        stack_peak: Most bytes of stack ever used.
    """

    info: DeviceInfo
    outputs: list[list[Array]]
    counts: list[int]
    layer_counts: list[int]
    resolution: float
    stack_peak: int


def measure(
    target: Target, elf: Path, graph: Graph, inputs: Sequence[Sequence[Array]], runs: int, progress: Progress
) -> Measurement:
    """Load the firmware and run it: every input once, and inputs again until `runs` inferences are counted.

    Raises:
        TargetError: the firmware does not start, answers for another model, or stops answering.
    """
    target.load(elf)
    client = Client(target.open())
    info = client.info()
    _check_identity(info, graph)
    outputs: list[list[Array]] = []
    counts: list[int] = []
    total = max(runs, len(inputs))
    for run in range(total):
        progress("running", run, total)
        write_inputs(client, inputs[run % len(inputs)])
        counts.append(target.count(client.invoke(1)[0], info))
        if run < len(inputs):
            outputs.append(read_outputs(client, graph))
    write_inputs(client, inputs[0])
    progress("measuring each layer", 0, 1)
    layer_counts = [target.count(ticks, info) for ticks in client.profile()]
    memory = client.memory()
    progress("measuring each layer", 1, 1)
    return Measurement(info, outputs, counts, layer_counts, target.resolution(info), memory.stack_high_water)


def first_divergent_layer(
    target: Target, elf: Path, inspection: Inspection, reference: Reference, inputs: Sequence[Array]
) -> int | None:
    """The first layer whose output differs from the reference for one inference, None where no layer does.

    The firmware is loaded anew and run layer by layer; each output is read from the arena before it is overwritten.
    """
    graph, offsets = inspection.graph, inspection.plan.tensor_offsets
    computed = [index for op in graph.ops for index in op.outputs]
    expected = dict(zip(computed, reference.intermediates(inputs, computed), strict=True))
    target.load(elf)
    client = Client(target.open())
    write_inputs(client, inputs)
    for position, op in enumerate(graph.ops):
        client.run_layers(position, position + 1)
        for index in op.outputs:
            tensor, wanted = graph.tensors[index], expected[index]
            if tensor.channels is not None and wanted.shape != tensor.shape:
                wanted = wanted[..., list(tensor.channels)]
            actual = read_arena_tensor(client, tensor, offsets[index])
            if actual.tobytes() != np.ascontiguousarray(wanted).tobytes():
                return position
    return None


def _check_identity(info: DeviceInfo, graph: Graph) -> None:
    if info.model_sha256.hex() != graph.sha256:
        raise TargetError(
            f"the firmware holds another model ({info.model_name}, sha256 {info.model_sha256.hex()[:12]}…)",
            where=graph.source,
            hint="build and flash again; the board runs an older firmware",
        )
