"""What the model is run on: inputs made up to find differences, or the user's own from an .npz file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError
from ..graph import DType, Tensor

__all__ = ["check_inputs", "inferences_of", "load_inputs", "quantize"]

Array = npt.NDArray[Any]
Pattern = Callable[[np.random.Generator, int, int], Array]

_MOST_BYTES = 1 << 30  # of all arrays of one file, unpacked
_FLOAT_STEP = 1 / 32  # float inputs span -4 … 4
_SUPPORTED = (DType.INT8, DType.FLOAT32)


# Each pattern makes `size` values on the int8 scale (clipped later) for a tensor whose real zero is stored as `zero`.


def _silence(_rng: np.random.Generator, size: int, zero: int) -> Array:
    return np.full(size, zero)


def _uniform(rng: np.random.Generator, size: int, _zero: int) -> Array:
    return rng.integers(-128, 128, size)


def _whisper(rng: np.random.Generator, size: int, zero: int) -> Array:
    return zero + rng.integers(-4, 5, size)


def _normal(rng: np.random.Generator, size: int, zero: int) -> Array:
    return np.rint(zero + 24 * rng.standard_normal(size)).astype(np.int64)


def _extremes(rng: np.random.Generator, size: int, _zero: int) -> Array:
    return np.where(rng.random(size) < 0.5, -128, 127)


def _ramp(rng: np.random.Generator, size: int, _zero: int) -> Array:
    """Once through the whole range, wrapping, from anywhere: an input of one element is not always the same."""
    once = np.arange(size) * 256 // size
    return (once + rng.integers(256, size=1)) % 256 - 128


def _loud(rng: np.random.Generator, size: int, zero: int) -> Array:
    return np.rint(zero + 120 * rng.standard_normal(size)).astype(np.int64)


def _sparse(rng: np.random.Generator, size: int, zero: int) -> Array:
    return np.where(rng.random(size) < 0.9, zero, rng.integers(-128, 128, size))


_RANDOM: tuple[Pattern, ...] = (_uniform, _whisper, _normal, _loud, _sparse)
_PATTERNS: tuple[Pattern, ...] = (
    _uniform,
    _silence,
    _whisper,
    _extremes,
    _normal,
    _ramp,
    _loud,
    _sparse,
)


def check_inputs(tensors: Sequence[Tensor], count: int = 8, seed: int = 0) -> list[list[Array]]:
    """Inputs of several amplitudes: one proves little, as activations and softmax saturate.

    Among eight are silence (the zero point), noise from a whisper to clipping, the two extremes in random order, a ramp
    and mostly silence; more than eight go on with fresh noise. In one inference every input has another pattern.

    Args:
        tensors: The model's inputs, int8 or float32.
        count: Number of inferences.
        seed: Same seed, same inputs.

    Returns:
        For each inference its arrays in the order of `tensors`, of their shapes and dtypes. Floats span -4 to 4.

    Raises:
        InputError: an input of another dtype.
    """
    _check_supported(tensors, "model")
    return [
        [_made(tensor, inference + position, (seed, inference, position)) for position, tensor in enumerate(tensors)]
        for inference in range(count)
    ]


def _made(tensor: Tensor, turn: int, seed: tuple[int, ...]) -> Array:
    rng = np.random.default_rng(seed)
    pattern = _PATTERNS[turn] if turn < len(_PATTERNS) else _RANDOM[turn % len(_RANDOM)]
    size = tensor.elements
    if tensor.dtype is DType.FLOAT32:
        # Off the grid, so that a QUANTIZE behind the input has something to round.
        values = (np.clip(pattern(rng, size, 0), -128, 127) + rng.uniform(-0.5, 0.5, size)) * _FLOAT_STEP
        return values.astype(np.float32).reshape(tensor.shape)
    zero = tensor.zero_point if tensor.quantization else 0
    return np.clip(pattern(rng, size, zero), -128, 127).astype(np.int8).reshape(tensor.shape)


def quantize(values: Array, tensor: Tensor) -> Array:
    """Real values as `tensor` stores them: rint(value / scale) + zero point, ties to even, clipped to its dtype.

    Computed in double precision. Raises ValueError when the tensor has no per-tensor quantization.
    """
    stored = np.rint(values.astype(np.float64) / tensor.scale) + tensor.zero_point
    ends = np.iinfo(tensor.dtype.numpy)
    clipped: Array = np.clip(stored, ends.min, ends.max).astype(tensor.dtype.numpy)
    return clipped


def load_inputs(
    path: str | Path, tensors: Sequence[Tensor], *, real_labels: bool = False
) -> tuple[list[list[Array]], Array | None]:
    """Read inferences from an .npz file.

    The key of an input is its name in the model (with or without TensorFlow's `serving_default_…:0` around it),
    `input_0`, `input_1` …, or `inputs` when the model has only one. An array holds any number of inferences along its
    first axis, with or without the model's own batch axis of one; or a single inference. Floats are in the model's real
    units and are quantized here; int8 passes as it is. An optional `labels` holds the right class of each inference.

    Args:
        path: The file. Pickled objects in it are refused.
        tensors: The model's inputs, int8 or float32.
        real_labels: Whether `labels` may also be real values, of any shape (N, …).

    Returns:
        For each inference its arrays in the order of `tensors`, of their shapes and dtypes; and the labels, int64 or
        float64, or None.

    Raises:
        InputError: names the file, the key and what was expected.
    """
    path = Path(path)
    _check_supported(tensors, path.name)
    arrays = _read_npz(path)
    columns = [_column(path.name, arrays, tensor, position, len(tensors)) for position, tensor in enumerate(tensors)]
    counts = {len(column) for column in columns}
    if len(counts) > 1:
        raise InputError(
            f"inputs with different numbers of inferences: {', '.join(map(str, sorted(counts)))}",
            where=path.name,
            hint="give every input the same length along its first axis",
        )
    inferences = [list(row) for row in zip(*columns, strict=True)]
    return inferences, _labels(path.name, arrays, len(inferences), real=real_labels)


def _check_supported(tensors: Sequence[Tensor], where: str) -> None:
    for tensor in tensors:
        if tensor.dtype not in _SUPPORTED:
            raise InputError(
                f"input {tensor.name!r} is {tensor.dtype.value}: no inputs can be made or read for it",
                where=where,
                hint="convert the model with int8 or float32 inputs",
            )


def _read_npz(path: Path) -> dict[str, Array]:
    hint = "write it with numpy.savez_compressed(path, inputs=..., labels=...)"
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size <= _MOST_BYTES:
            with np.load(path, allow_pickle=False) as members:
                return {key: _member(path, members, key, hint) for key in members.files}
    except InputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"cannot be read: {reason}", where=str(path), hint="check the path") from error
    except Exception as error:  # zipfile has a dozen for damaged archives, some of them undocumented
        raise InputError("is not an .npz file", where=path.name, hint=hint) from error
    raise InputError(f"unpacks to {size:,} bytes, over the limit of {_MOST_BYTES:,}", where=path.name, hint=hint)


def _member(path: Path, members: Mapping[str, Array], key: str, hint: str) -> Array:
    """One array; the archive unpacks it only now, so damage shows here. Members may be no arrays at all."""
    try:
        array = members[key]
    except Exception as error:  # zlib, zipfile, tokenizer and numpy each have their own for damaged contents
        raise InputError(f"key {key!r} is damaged or holds Python objects", where=path.name, hint=hint) from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"key {key!r} holds no array", where=path.name, hint=hint)
    return array


def _keys(tensor: Tensor, position: int, inputs: int) -> list[str]:
    """The keys under which an input is looked for, best first."""
    plain = tensor.name.removeprefix("serving_default_").partition(":")[0]
    keys = [tensor.name, plain, f"input_{position}", *(["inputs"] if inputs == 1 else [])]
    return list(dict.fromkeys(key for key in keys if key))


def _column(file: str, arrays: Mapping[str, Array], tensor: Tensor, position: int, inputs: int) -> Array:
    """All inferences of one input: shape (N, *tensor.shape)."""
    keys = _keys(tensor, position, inputs)
    key = next((key for key in keys if key in arrays), None)
    if key is None:
        raise InputError(
            f"no key for input {position}, of shape {tensor.shape}; there are: {', '.join(sorted(arrays)) or 'none'}",
            where=file,
            hint=f"name the array {' or '.join(repr(key) for key in keys)}",
        )
    return inferences_of(arrays[key], tensor, f"{file}: {key}")


def inferences_of(array: Array, tensor: Tensor, where: str) -> Array:
    """One or many inferences of an input, as the model stores them: shape (N, *tensor.shape).

    Args:
        array: Of any number of inferences along the first axis, with or without the model's own batch axis of one; or a
            single inference. Floats are real values and are quantized; int8 passes as it is.
        where: What to call it in errors.

    Raises:
        InputError: its shape or dtype does not fit.
    """
    return _converted(where, _batched(where, array, tensor), tensor)


def _batched(where: str, array: Array, tensor: Tensor) -> Array:
    shape = tensor.shape
    if array.shape == shape:
        return array[np.newaxis]
    if array.ndim == len(shape) + 1 and array.shape[1:] == shape and len(array):
        return array
    if shape[:1] == (1,):
        if array.ndim == len(shape) and array.shape[1:] == shape[1:] and len(array):
            return array[:, np.newaxis]
        if array.shape == shape[1:]:
            return array[np.newaxis, np.newaxis]
    inner = shape[1:] if shape[:1] == (1,) else shape
    raise InputError(
        f"shape {array.shape} does not fit input {tensor.name!r}",
        where=where,
        hint=f"expected {('N', *inner)} with N inferences, or {inner} for one".replace("'", ""),
    )


def _converted(where: str, array: Array, tensor: Tensor) -> Array:
    if tensor.dtype is DType.INT8 and array.dtype == np.int8:
        return np.ascontiguousarray(array)
    if not np.issubdtype(array.dtype, np.floating):
        stored = "; int8 for values as the model stores them" if tensor.dtype is DType.INT8 else ""
        raise InputError(
            f"dtype {array.dtype} does not say whether its values are real or quantized",
            where=where,
            hint=f"save float32 for values in real units{stored}",
        )
    _check_finite(array, where)
    if tensor.dtype is DType.FLOAT32:
        return np.ascontiguousarray(array, np.float32)
    if tensor.quantization is None or tensor.quantization.per_channel:
        raise InputError(
            f"input {tensor.name!r} has no scale to quantize floats with",
            where=where,
            hint="save int8 values as the model stores them",
        )
    return quantize(array, tensor)


def _check_finite(array: Array, where: str) -> None:
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise InputError(
            f"{np.count_nonzero(~finite)} of {len(array)} samples have NaN or infinity, the first is [{first}]",
            where=where,
            hint="remove these samples, or mend them",
        )


def _labels(file: str, arrays: Mapping[str, Array], count: int, *, real: bool) -> Array | None:
    labels = arrays.get("labels")
    if labels is None:
        return None
    if real and labels.shape[:1] == (count,) and np.issubdtype(labels.dtype, np.floating):
        _check_finite(labels, f"{file}: labels")
        return labels.astype(np.float64)
    if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"expected {count} integers, one for each inference, got {labels.dtype} of shape {labels.shape}",
            where=f"{file}: labels",
            hint="save class numbers as an int64 array of shape (N,), "
            + ("or real values (masks, regression) as float32" if real else "or leave labels out"),
        )
    return labels.astype(np.int64)
