"""Weights in less than a byte each: zeros or blocks of zeros left out, or codes of four bits.

The forms are those of `firmware_templates/kernels/sparse/tinyml_sparse.h`, which reads what is written here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["CODEBOOK", "FORMS", "Form", "WeightLists", "weight_lists"]

Form = Literal["gaps", "coded_gaps", "blocks", "codes"]
FORMS: tuple[Form, ...] = ("gaps", "coded_gaps", "blocks", "codes")

CODEBOOK = 16  # TINYML_CODEBOOK
_BLOCK = 4
_NIBBLE = 15
_STEPS = 2**16 - 1

Weights = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class WeightLists:
    """The weights of a layer as lists, one a channel.

    Attributes:
        form: How they are written.
        values: uint8: codebooks, then the lists.
        codebooks: How many there are: none, one of the whole layer, or one a channel.
        steps: int64, of each channel.
        listed: Weights that are multiplied, padding included.
        note: What is saved, in words.
    """

    form: Form
    values: npt.NDArray[np.uint8]
    codebooks: int
    steps: npt.NDArray[np.int64]
    listed: int
    note: str


def weight_lists(weights: Weights, form: Form) -> WeightLists | None:
    """Encode weights of shape (channels, products), int8 values. None where the form has no room for them."""
    codebooks = _codebooks(weights) if form in ("coded_gaps", "codes") else []
    if codebooks is None:
        return None
    encode = {"gaps": _gaps, "blocks": _blocks}.get(form)
    lists = []
    for channel, row in enumerate(weights):
        if encode is not None:
            steps = encode(row)
        else:
            codebook = codebooks[channel if len(codebooks) > 1 else 0]
            steps = _coded_gaps(row, codebook) if form == "coded_gaps" else _codes(row, codebook)
        if steps is None or len(steps) > _STEPS:
            return None
        lists.append(steps)
    values = b"".join(bytes(np.array(codebook, np.int8)) for codebook in codebooks)
    values += b"".join(len(steps).to_bytes(2, "little") + b"".join(steps) for steps in lists)
    count = np.array([len(steps) for steps in lists])
    listed = int(count.sum()) * {"gaps": 2, "blocks": _BLOCK, "codes": 2}.get(form, 1)
    return WeightLists(
        form=form,
        values=np.frombuffer(values, np.uint8),
        codebooks=len(codebooks),
        steps=count,
        listed=listed,
        note=_note(weights, form, listed),
    )


def _note(weights: Weights, form: Form, listed: int) -> str:
    zeros = f"{np.count_nonzero(weights == 0) / weights.size:.0%} of its weights are zero".replace("%", " %")
    if form == "gaps":
        return zeros
    if form == "blocks":
        return f"{max(0, 1 - listed / weights.size):.0%} of its 1x4 blocks are zero".replace("%", " %")
    values = len(np.unique(weights))
    clusters = f"its weights have {values} values" if values <= CODEBOOK else "its channels have up to 16 values"
    return clusters if form == "codes" else f"{clusters}, {zeros}"


# -- codebooks ----------------------------------------------------------------------------------------------------


def _codebooks(weights: Weights) -> list[list[int]] | None:
    """One for the layer if its weights have few enough values, else one for each channel; None if that fails too."""
    if len(values := np.unique(weights)) <= CODEBOOK:
        return [_codebook(values)]
    rows = [np.unique(row) for row in weights]
    return [_codebook(row) for row in rows] if max(map(len, rows)) <= CODEBOOK else None


def _codebook(values: Weights) -> list[int]:
    """Zero is added where there is room, as gaps may need it."""
    codebook: list[int] = values.tolist()
    if 0 not in codebook and len(codebook) < CODEBOOK:
        codebook.append(0)
    return codebook + [0] * (CODEBOOK - len(codebook))


# -- lists --------------------------------------------------------------------------------------------------------


def _gap_steps(row: Weights) -> Iterator[tuple[int, int]]:
    """(gap, weight) of all that is not zero; a gap that does not fit four bits stops over at zeros."""
    at = 0
    for position in np.flatnonzero(row).tolist():
        while position - at > _NIBBLE:
            at += _NIBBLE
            yield _NIBBLE, int(row[at])
        yield position - at, int(row[position])
        at = position


def _gaps(row: Weights) -> list[bytes]:
    steps = list(_gap_steps(row))
    steps += [(0, 0)] * (len(steps) % 2)
    return [
        bytes([gap1 | gap2 << 4, weight1 & 0xFF, weight2 & 0xFF])
        for (gap1, weight1), (gap2, weight2) in zip(steps[::2], steps[1::2], strict=True)
    ]


def _coded_gaps(row: Weights, codebook: list[int]) -> list[bytes] | None:
    steps = list(_gap_steps(row))
    if any(weight not in codebook for _, weight in steps):
        return None  # a stop over at a zero, without a code for it
    return [bytes([codebook.index(weight) | gap << 4]) for gap, weight in steps]


def _codes(row: Weights, codebook: list[int]) -> list[bytes] | None:
    if len(row) % 2:
        return None
    codes = [codebook.index(weight) for weight in row.tolist()]
    return [bytes([code1 | code2 << 4]) for code1, code2 in zip(codes[::2], codes[1::2], strict=True)]


def _blocks(row: Weights) -> list[bytes] | None:
    """Blocks begin at the first weight that no block has yet, wherever it is, but for a last one that would overrun."""
    last = len(row) - _BLOCK
    if last < 0:
        return None
    steps = []
    at, end = 0, 0
    for position in np.flatnonzero(row).tolist():
        if position < end:
            continue
        begin = min(position, last)
        while begin - at > 255:
            at += 255
            steps.append(bytes([255, 0, 0, 0, 0]))
        block = [int(row[index]) if index >= end else 0 for index in range(begin, begin + _BLOCK)]
        steps.append(bytes([begin - at, *(weight & 0xFF for weight in block)]))
        at, end = begin, begin + _BLOCK
    return steps
