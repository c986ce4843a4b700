"""One measuring session: load the firmware, run every input, read the costs, and find where an answer goes wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..boards import Board
from ..errors import TargetError
from ..firmware import Inspection
from ..graph import Graph
from ..link import Client, DeviceInfo, DeviceMemory
from ..progress import Progress
from ..targets import Target
from ..targets.blocks import ExecutedBlock
from .reference import Reference
from .transfer import infer, read_arena_tensor, write_inputs

__all__ = ["Measurement", "check_build", "check_identity", "first_divergent_layer", "measure"]

Array = npt.NDArray[Any]

_NAME_BYTES = 40
"""How much of a board's name a firmware keeps."""


@dataclass(frozen=True, eq=False)
class Measurement:
    """What the device answered. Counts are in the target's unit, instructions or cycles.

    Attributes:
        outputs: For each input its output arrays.
        counts: For each inference the count of one invoke.
        layer_counts: For each layer its count in one inference that is run layer by layer.
        resolution: Of one tick of the counter, in the same unit.
        stack_peak: Most bytes of stack ever used.
        executed: What code the first inference executed, where the target can tell.
        executed_layers: The same of each layer, or of none.
    """

    info: DeviceInfo
    outputs: list[list[Array]]
    counts: list[int]
    layer_counts: list[int]
    resolution: float
    stack_peak: int
    executed: tuple[ExecutedBlock, ...] = ()
    executed_layers: tuple[tuple[ExecutedBlock, ...], ...] = ()


def measure(
    target: Target,
    elf: Path,
    graph: Graph,
    board: Board,
    inputs: Sequence[Sequence[Array]],
    runs: int,
    progress: Progress,
) -> Measurement:
    """Load the firmware and run it: every input once, and inputs again until `runs` inferences are counted.

    Raises:
        TargetError: the firmware does not start, answers for another model or board, stops answering, or has run over
            its stack.
    """
    target.load(elf)
    progress("waiting for the firmware", 0, 1)
    client = Client(target.open(), retry_after=target.retry_after, deadline=target.deadline)
    info = client.info()
    check_identity(info, graph, board)
    outputs: list[list[Array]] = []
    counts: list[int] = []
    total = max(runs, len(inputs))
    executed: tuple[ExecutedBlock, ...] = ()
    for run in range(total):
        progress("running", run, total)
        if run == 0:
            (ticks, result), intervals = target.record(lambda: infer(client, graph, inputs[0]))
            (executed,) = _timed(intervals, 1) or ((),)
        else:
            ticks, result = infer(client, graph, inputs[run % len(inputs)])
        counts.append(target.count(ticks, info))
        if run < len(inputs):
            outputs.append(result)
    progress("measuring each layer", 0, 1)
    (layer_ticks, memory), intervals = target.record(lambda: client.undisturbed(lambda: _profile(client, inputs[0])))
    layer_counts = [target.count(ticks, info) for ticks in layer_ticks]
    progress("measuring each layer", 1, 1)
    return Measurement(
        info=info,
        outputs=outputs,
        counts=counts,
        layer_counts=layer_counts,
        resolution=target.resolution(info),
        stack_peak=memory.stack_high_water,
        executed=executed,
        executed_layers=_timed(intervals, len(layer_counts)),
    )


def _timed(intervals: Sequence[tuple[ExecutedBlock, ...]], count: int) -> tuple[tuple[ExecutedBlock, ...], ...]:
    """Of what ran between readings of the counter, what the firmware timed: it reads before and after each of `count`.

    Nothing where the readings are not so many: a port may read twice, or the protocol have repeated something.
    """
    return tuple(intervals[::2]) if len(intervals) == 2 * count - 1 else ()


def first_divergent_layer(
    target: Target, elf: Path, inspection: Inspection, reference: Reference, inputs: Sequence[Array]
) -> int | None:
    """The first layer whose output differs from the reference for one inference, None where no layer does.

    The firmware is loaded anew and run layer by layer; each output is read from the arena before it is overwritten.
    """
    graph, offsets = inspection.graph, inspection.plan.tensor_offsets
    # A variable's tensor holds in the reference what was read of it, and here what is written.
    outputs = [index for layer in inspection.layers for index in layer.op.outputs]
    computed = [index for index in outputs if index not in graph.variables]
    expected = dict(zip(computed, reference.intermediates(inputs, computed), strict=True))
    target.load(elf)
    client = Client(target.open(), retry_after=target.retry_after, deadline=target.deadline)

    def search() -> int | None:
        write_inputs(client, inputs)
        for position, layer in enumerate(inspection.layers):
            client.run_layers(position, position + 1)
            for index in set(layer.op.outputs) - set(graph.variables):
                tensor, wanted = graph.tensors[index], expected[index]
                if tensor.channels is not None and wanted.shape != tensor.shape:
                    wanted = wanted[..., list(tensor.channels)]
                actual = read_arena_tensor(client, tensor, offsets[index])
                if actual.tobytes() != np.ascontiguousarray(wanted).tobytes():
                    return position
        return None

    return client.undisturbed(search)


def _profile(client: Client, inputs: Sequence[Array]) -> tuple[list[int], DeviceMemory]:
    """Counter ticks of each layer, and the memory marks after it."""
    write_inputs(client, inputs)
    ticks = client.profile()
    memory = client.memory()
    if memory.stack_overflowed:
        raise TargetError(
            f"the stack has run over its {memory.stack_bytes:,} bytes: nothing that the firmware says can be trusted",
            hint="the board has too little RAM for this model: choose a larger board, or a smaller model",
        )
    return ticks, memory


def check_identity(info: DeviceInfo, graph: Graph, board: Board) -> None:
    """Raise TargetError unless the firmware that answers was built for this model and this board."""
    if info.board != board.name.encode()[:_NAME_BYTES].decode(errors="replace"):
        raise TargetError(
            f"the firmware that answers was built for {info.board}",
            where=board.name,
            hint="choose that board with --board, or another port; or build and flash again",
        )
    if info.model_sha256.hex() != graph.sha256:
        raise TargetError(
            f"the firmware holds another model ({info.model_name}, sha256 {info.model_sha256.hex()[:12]}…)",
            where=graph.source,
            hint="build and flash again; the board runs an older firmware",
        )


def check_build(info: DeviceInfo, layers: int, arena_bytes: int) -> None:
    """Raise TargetError unless what answers was generated with the options that give so many layers and such an arena.

    Only a firmware that somebody else has built or flashed can differ.
    """
    if (info.layer_count, info.arena_bytes) != (layers, arena_bytes):
        raise TargetError(
            f"the firmware was generated otherwise: it has {info.layer_count} layers and an arena of "
            f"{info.arena_bytes:,} bytes, these options give {layers} and {arena_bytes:,}",
            hint="give the options that `tinyml generate` was given, or generate and build it again",
        )
