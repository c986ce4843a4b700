"""hard_silu spelled out, x relu6(x + 3) / 6: the converter makes one operator of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..filters.flow import kind_of
from ..replay import Call
from .affine import affine_of
from .functions import function_of
from .rewriting import calls_of, is_input

__all__ = ["find_hard_swishes"]

_PRODUCTS = ("Multiply", "op:Multiply")


def find_hard_swishes(model: Any) -> dict[int, int]:
    """For each output of a hard_silu in a flat model its input, both by `id`."""
    makers = {id(tensor): call for call in calls_of(model) for tensor in call.outputs}
    found = {}
    for call in makers.values():
        source = _of_gate(call, makers) or _of_sixth(call, makers)
        if source is not None:
            found[id(call.outputs[0])] = source
    return found


def _of_gate(call: Call, makers: dict[int, Call]) -> int | None:
    """x of x * hard_sigmoid(x)."""
    for values, gate in _factors(call):
        maker = makers[gate]
        if is_input(maker):
            continue
        gated = id(maker.inputs[0]) if function_of(maker.layer) == "hard_sigmoid" else None
        if _is(maker, factor=1 / 6):
            gated = _of_clip(makers[id(maker.inputs[0])], makers)
        if gated == values:
            return values
    return None


def _of_sixth(call: Call, makers: dict[int, Call]) -> int | None:
    """x of (x * relu6(x + 3)) / 6."""
    if is_input(call) or not _is(call, factor=1 / 6):
        return None
    for values, clip in _factors(makers[id(call.inputs[0])]):
        if _of_clip(makers[clip], makers) == values:
            return values
    return None


def _factors(call: Call) -> tuple[tuple[int, int], ...]:
    """The two tensors that a call multiplies, by `id`, in both orders; nothing for another call."""
    if kind_of(call.layer) not in _PRODUCTS or len(call.inputs) != 2:
        return ()
    first, second = map(id, call.inputs)
    return (first, second), (second, first)


def _of_clip(call: Call, makers: dict[int, Call]) -> int | None:
    """x of relu6(x + 3)."""
    if is_input(call) or function_of(call.layer) != "relu6":
        return None
    shift = makers[id(call.inputs[0])]
    return id(shift.inputs[0]) if not is_input(shift) and _is(shift, offset=3.0) else None


def _is(call: Call, factor: float = 1.0, offset: float = 0.0) -> bool:
    affine = affine_of(call)
    return affine is not None and np.allclose(affine.factor, factor) and np.allclose(affine.offset, offset)
