"""The losses of knowledge distillation, each between a teacher's tensor and a student's.

Tensors are batches, channels last. Every loss is one float32 number a sample, shape (N,): the caller weighs them and
averages.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = [
    "attention_transfer",
    "binary_soft_labels",
    "mean_squared_error",
    "pool_to_size",
    "pooling_matrix",
    "sigmoid_logits",
    "soft_labels",
    "softmax_logits",
]

_SMALLEST = float(np.finfo(np.float32).tiny)  # the smallest probability that float32 holds to full precision
_SMALLEST_COMPLEMENT = 2.0**-24  # the smallest 1 - p that is not 0, as float32 has 24 bits below 1
_NO_ACTIVITY = 1e-24  # squared length of an attention map; below it the layer is silent


def soft_labels(teacher: Any, student: Any, temperature: float) -> Any:
    """T² KL(softmax(teacher / T) ‖ softmax(student / T)), over the last axis, averaged over those before it.

    T² keeps the gradient's size independent of T (Hinton, Vinyals, Dean: Distilling the Knowledge in a Neural Network,
    2015, section 2).

    Args:
        teacher: Logits, (N, …, classes).
        student: Logits of the same shape.
        temperature: T, above 0.
    """
    from keras import ops

    wanted, got = (ops.log_softmax(_float32(logits) / temperature, axis=-1) for logits in (teacher, student))
    divergence = ops.sum(ops.exp(wanted) * (wanted - got), axis=-1)
    return temperature**2 * _sample_mean(divergence)


def binary_soft_labels(teacher: Any, student: Any, temperature: float) -> Any:
    """`soft_labels` where every element is the logit of a yes or no of its own, averaged over the elements."""
    from keras import ops

    wanted, got = (_float32(logits) / temperature for logits in (teacher, student))
    yes = ops.sigmoid(wanted) * (ops.log_sigmoid(wanted) - ops.log_sigmoid(got))
    no = ops.sigmoid(-wanted) * (ops.log_sigmoid(-wanted) - ops.log_sigmoid(-got))
    return temperature**2 * _sample_mean(yes + no)


def mean_squared_error(teacher: Any, student: Any) -> Any:
    """Squared difference, averaged over all axes but the first.

    Between feature maps this is the hint of FitNets (Romero et al. 2015, equation 3) up to a constant factor: there it
    is half the sum.
    """
    from keras import ops

    return _sample_mean(ops.square(_float32(teacher) - _float32(student)))


def attention_transfer(teacher: Any, student: Any) -> Any:
    """‖Q_T/‖Q_T‖ - Q_S/‖Q_S‖‖², where Q is the sum of squares over channels at each position; between 0 and 2.

    Zagoruyko and Komodakis: Paying More Attention to Attention, 2017, equation 2 with F²_sum. The paper takes the norm
    itself and its authors' code the square averaged over positions; this is the square, summed, so that a weight means
    the same for maps of every size.

    Args:
        teacher: Feature maps, (N, positions…, channels).
        student: Of the same positions; channels may differ.
    """
    from keras import ops

    difference = _attention(teacher) - _attention(student)
    return ops.sum(ops.square(difference), axis=-1)


def _attention(features: Any) -> Any:
    """Shape (N, positions), of length 1; all 0 where the layer is silent."""
    from keras import ops

    energy = ops.sum(ops.square(_float32(features)), axis=-1)
    energy = ops.reshape(energy, (-1, int(np.prod(energy.shape[1:]))))
    # The greater of two, instead of a square root of their sum: the gradient at 0 is 0 then, and not infinite.
    squared_length = ops.maximum(ops.sum(ops.square(energy), axis=-1, keepdims=True), _NO_ACTIVITY)
    return energy * ops.rsqrt(squared_length)


def softmax_logits(probabilities: Any) -> Any:
    """The logits of a softmax, up to a constant that no softmax sees.

    log softmax(z) is z minus a constant, so nothing is lost but probabilities below 1.2e-38, which count as that.
    """
    from keras import ops

    return ops.log(ops.maximum(_float32(probabilities), _SMALLEST))


def sigmoid_logits(probabilities: Any) -> Any:
    """The logits log(p / (1 - p)) of a sigmoid.

    In float32 a sigmoid is 1 from a logit of 16.6 on: larger ones come back as that.
    """
    from keras import ops

    yes = _float32(probabilities)
    return ops.log(ops.maximum(yes, _SMALLEST)) - ops.log(ops.maximum(1.0 - yes, _SMALLEST_COMPLEMENT))


def pool_to_size(features: Any, size: tuple[int, ...]) -> Any:
    """Feature maps averaged down to `size` positions; (N, positions…, channels) to (N, *size, channels)."""
    from keras import ops

    features = _float32(features)
    for axis, target in enumerate(size, start=1):
        current = features.shape[axis]
        if current != target:
            pooled = ops.tensordot(features, pooling_matrix(current, target), axes=[[axis], [1]])
            features = ops.moveaxis(pooled, -1, axis)
    return features


def pooling_matrix(size: int, target: int) -> npt.NDArray[np.float32]:
    """The matrix (target, size) that averages `size` positions down to `target` spans of equal length.

    Average pooling where the sizes divide; otherwise a position on the border of two spans counts for each by its
    share.
    """
    positions = np.arange(size)[np.newaxis]
    spans = np.arange(target)[:, np.newaxis] * (size / target)
    overlap = np.minimum(positions + 1, spans + size / target) - np.maximum(positions, spans)
    shares: npt.NDArray[np.float32] = (np.clip(overlap, 0, None) * (target / size)).astype(np.float32)
    return shares


def _float32(values: Any) -> Any:
    """Under mixed precision features are float16, in which squares overflow."""
    from keras import ops

    return ops.cast(values, "float32")


def _sample_mean(values: Any) -> Any:
    """The mean over all axes but the first."""
    from keras import ops

    axes = tuple(range(1, len(values.shape)))
    return ops.mean(values, axis=axes) if axes else values
