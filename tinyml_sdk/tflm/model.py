"""A model as runtime `tflm` sees it: the file as it is, and of each layer what it costs to say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..boards import Board, load_board
from ..codegen import ArenaSize, ModelSource, Optimize, ProjectKind, generate_tflm_model
from ..graph import Graph, read_graph
from ..ops import Layer
from ..ops.tflm import find_registrations, tflm_layers
from ..plan import check_fit
from ..toolchains import Library, Toolchain
from .arena import measure_arena
from .host_arena import estimate_arena

__all__ = ["TflmModel", "inspect_tflm_model"]

RUNTIME_CODE_BYTES = 16_384
"""What the interpreter, the smallest kernels and the application need in flash beside the file, at the least."""


@dataclass(frozen=True, eq=False)
class TflmModel:
    """A model that TFLM has all operators for. `board` only where one was named.

    Attributes:
        graph: The model as it is in the file.
        layers: One for each op, with its multiply-accumulates.
        data: The bytes of the file.
    """

    graph: Graph
    layers: tuple[Layer, ...]
    data: bytes
    board: Board | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates that one inference executes, of layers whose operators have a file here."""
        return sum(layer.macs for layer in self.layers)

    def source(self, arena: ArenaSize, kind: ProjectKind = "baremetal") -> ModelSource:
        """The model library for a kind of project, and an interpreter with that much memory."""
        ids = self.board.platformio if self.board else None
        arduino = kind == "arduino" or (kind == "platformio" and ids is not None and ids.framework == "arduino")
        return generate_tflm_model(self.graph, self.layers, self.data, arena, arduino=arduino)

    def check_flash(self) -> None:
        """Raise FitError where the board's flash cannot hold the file: before anything is built."""
        if self.board is not None:
            check_fit(self.board, 0, len(self.data) + RUNTIME_CODE_BYTES)

    def size_arena(self, library: Library | None, toolchain: Toolchain, optimize: Optimize) -> ArenaSize:
        """Measured on the board's core with a library, else on this machine with a margin.

        Raises:
            FitError: it is more than the board has.
        """
        if library is None or self.board is None:
            arena = estimate_arena(self.graph, self.data, self.board)
        else:
            arena = measure_arena(self.graph, self.layers, self.data, self.board, library, toolchain, optimize)
        if self.board is not None:
            check_fit(self.board, arena.bytes, len(self.data) + RUNTIME_CODE_BYTES)
        return arena


def inspect_tflm_model(model: str | Path, board: str | Path | None = None) -> TflmModel:
    """Read a .tflite file, check it, and check that TFLM has its operators.

    Raises:
        ModelError: the file is damaged, or TFLM lacks an operator.
        BoardError: there is no such board.
    """
    chosen = load_board(board) if board is not None else None
    graph = read_graph(model)
    find_registrations(graph)
    return TflmModel(graph, tflm_layers(graph), Path(model).read_bytes(), chosen)
