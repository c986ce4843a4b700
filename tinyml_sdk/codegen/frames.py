"""How long the frames of the benchmark application are: the two that it keeps are most of its RAM beside the arena."""

from __future__ import annotations

from ..errors import ModelError
from ..graph import Graph

__all__ = ["frame_body_bytes"]

_FULL_BODY = 256  # longer ones hardly make a transfer faster
_LONGEST_BODY = 1_020  # what a byte can count in words
_SHARE_OF_ARENA = 8  # a frame takes no more than this part of the model's own memory, unless it must

_INFO_BYTES = 56  # firmware_templates/app/protocol.h
_WRITE_BYTES = 5  # in front of an input's bytes
_TICKS_BYTES = 8
_NAME_MAX = 40


def frame_body_bytes(graph: Graph, board_name: str, layers: int, arena_bytes: int) -> int:
    """The longest body of a frame, in bytes, a multiple of four: as long as is useful for a model of that size.

    Raises:
        ModelError: the device could not tell the sizes of so many inputs and outputs.
    """
    ends = [*graph.input_tensors, *graph.output_tensors]
    names = sum(1 + min(len(name.encode()), _NAME_MAX) for name in (board_name, graph.name))
    info = _INFO_BYTES + 4 * len(ends) + names
    if info > _LONGEST_BODY:
        raise ModelError(
            f"has {len(ends)} inputs and outputs, more than the benchmark application can tell of",
            where=graph.source,
            hint="generate the model library alone, without --board, or merge inputs and outputs",
        )
    useful = max(*(tensor.bytes + _WRITE_BYTES for tensor in ends), _TICKS_BYTES * layers)
    return -(-max(info, min(useful, _FULL_BODY, arena_bytes // _SHARE_OF_ARENA)) // 4) * 4
