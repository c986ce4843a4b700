"""The second-best reference: the generated C itself, built by this machine's compiler.

It proves that the board's compiler and core compute the same as this machine, not that the arithmetic is TFLM's. It is
used where the `tflite-micro` wheel does not exist, and the result then says so.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from ..codegen import generate_host_program, generate_model, write_folder
from ..firmware import Inspection
from ..graph import Graph
from ..link import Client, SubprocessStream
from ..ops import Layer
from ..plan import MemoryPlan
from ..toolchains import BuildJob, HostToolchain
from .transfer import Array, read_arena_tensor, read_outputs, write_inputs

__all__ = ["HostReference"]


class HostReference:
    """One model as a program of this machine. A context manager: leaving it ends the program.

    Raises:
        MissingToolError: there is no C compiler.
        BuildError: it failed.
    """

    name = "host"

    def __init__(self, inspection: Inspection) -> None:
        self._graph: Graph = inspection.graph
        self._layers: Sequence[Layer] = inspection.layers
        self._plan: MemoryPlan = inspection.plan
        self._folder = tempfile.TemporaryDirectory()
        self._stream = SubprocessStream([_build(inspection, Path(self._folder.name) / "host")])
        self._client = Client(self._stream)

    def run(self, inputs: Sequence[Sequence[Array]]) -> list[list[Array]]:
        """The outputs of independent inferences."""
        outputs = []
        for arrays in inputs:
            write_inputs(self._client, arrays)
            self._client.invoke()
            outputs.append(read_outputs(self._client, self._graph))
        return outputs

    def intermediates(self, inputs: Sequence[Array], tensor_indices: Sequence[int]) -> list[Array]:
        """The values of computed tensors in one inference, each read right after the layer that writes it."""
        write_inputs(self._client, inputs)
        values: dict[int, Array] = {}
        for position, layer in enumerate(self._layers):
            self._client.run_layers(position, position + 1)
            for index in layer.op.outputs:
                offset = self._plan.tensor_offsets[index]
                values[index] = read_arena_tensor(self._client, self._graph.tensors[index], offset)
        return [values[index] for index in tensor_indices]

    def __enter__(self) -> HostReference:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        self._folder.cleanup()


def _build(inspection: Inspection, folder: Path) -> Path:
    source = generate_model(inspection.graph, inspection.layers, inspection.plan)
    project = generate_host_program(inspection.graph, source)
    write_folder(folder, project.files, project.manifest)
    job = BuildJob(
        root=folder,
        sources=project.sources,
        include_dirs=project.include_dirs,
        linker_script=None,
        board=None,
        optimize="speed",
        output=folder / "build" / "program",
    )
    return HostToolchain().build(job).elf
