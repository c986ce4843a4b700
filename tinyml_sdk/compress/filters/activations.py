"""Scores of channels from activations: their magnitude, the loss's gradient, and its curvature.

Curvature is the diagonal of the generalized Gauss-Newton matrix (Schraudolph 2002, Fast Curvature Matrix-Vector
Products for Second-Order Gradient Descent): with z the model's outputs before their softmax or sigmoid, J = dz/da and H
the exact Hessian of the loss with respect to z,

    d²L/da_j² ≈ (Jᵀ H J)_jj = sum over k of λ_k (u_kᵀ J)_j²,   H = sum over k of λ_k u_k u_kᵀ

It leaves out sum_k dL/dz_k d²z_k/da_j², which is 0 where ReLUs, pooling and weights are all that lies between a and z,
so for most small networks it is the Hessian itself. Where the loss is convex in z, as cross-entropy and squared error
are, all λ_k are positive or 0; negative ones are left out. For cross-entropy it equals the Fisher information (Martens
2020, New Insights and Perspectives on the Natural Gradient Method, section 9.2). Each k is one backward pass; for more
than 32 outputs, random combinations of the √λ_k u_k with signs ±1 estimate the sum without bias (Hutchinson 1990), by
the same random numbers every time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import InputError
from ..replay import Call, calls
from .flow import is_per_channel, kind_of
from .samples import as_columns, checked_labels, spread

__all__ = ["activation_scores"]

Array = npt.NDArray[Any]
Loss = Callable[[Any, Any], Any]

BATCH = 32
"""Samples whose activations are held at a time."""

MAX_PASSES = 32
"""Backward passes for the curvature of one sample, at the most."""

LEAST_PROBABILITY = 1e-7


def activation_scores(
    model: Any, names: Sequence[str], method: str, inputs: Any, labels: Any, loss: Loss | str | None, samples: int
) -> dict[str, npt.NDArray[np.float64]]:
    """`activation`, `gradient` or `hessian` scores of layers; see `importance.layer_scores`, as for the arguments.

    Args:
        model: Without inner models.
        names: The layers.
    """
    import keras

    columns = as_columns(model, inputs, method)
    chosen = spread(len(columns[0]), samples)
    probe, owners = _probe(model, names)
    if method == "activation":
        found = _magnitudes(probe, len(owners), [column[chosen] for column in columns])
    else:
        truth = checked_labels(model, labels, method, len(columns[0]))[chosen]
        columns = [column[chosen] for column in columns]
        loss = keras.losses.get(loss) if loss is not None else _default_loss(model, truth)
        measure = _gradients if method == "gradient" else _curvatures
        found = measure(model, probe, columns, truth, loss)
    scores: dict[str, npt.NDArray[np.float64]] = {}
    for name, values in zip(owners, found, strict=True):  # a layer called twice has two activations
        scores[name] = scores[name] + values if name in scores else values
    return scores


# -- what to measure ------------------------------------------------------------------------------------------------


def _probe(model: Any, names: Sequence[str]) -> tuple[Any, list[str]]:
    """A model that gives all activations and then the outputs, and which layer each activation is of."""
    import keras

    order = list(calls(model))
    uses: dict[int, list[Call]] = {}
    for call in order:
        for tensor in call.inputs:
            uses.setdefault(id(tensor), []).append(call)
    ends = {id(tensor) for tensor in model.outputs}
    owners, tensors = [], []
    for call in order:
        if call.layer.name in names:
            tensor = call.outputs[0]
            while id(tensor) not in ends and len(uses[id(tensor)]) == 1 and is_per_channel(uses[id(tensor)][0]):
                tensor = uses[id(tensor)][0].outputs[0]
            owners.append(call.layer.name)
            tensors.append(tensor)
    return keras.Model(model.inputs, [*tensors, *model.outputs]), owners


def _magnitudes(probe: Any, count: int, columns: Sequence[Array]) -> list[npt.NDArray[np.float64]]:
    total: list[Any] = []
    for start in range(0, len(columns[0]), BATCH):
        activations = probe([column[start : start + BATCH] for column in columns], training=False)[:count]
        magnitudes = [np.abs(np.asarray(one, dtype=np.float64)) for one in activations]
        sums = [one.mean(axis=tuple(range(1, one.ndim - 1))).sum(axis=0) for one in magnitudes]
        total = [before + one for before, one in zip(total, sums, strict=True)] if total else sums
    return [one / len(columns[0]) for one in total]


def _gradients(
    _model: Any, probe: Any, columns: Sequence[Array], truth: Array, loss: Loss
) -> list[npt.NDArray[np.float64]]:
    import tensorflow as tf

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator, unused-ignore]
    def norms(sample: list[Any], label: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            activations, output = _taped(tape, probe, sample)
            value = tf.reduce_mean(loss(label, output))
        return [_summed(tf.abs(one)) for one in _slopes(tape, value, activations)]

    return _mean_of_samples(norms, columns, truth)


def _curvatures(
    model: Any, probe: Any, columns: Sequence[Array], truth: Array, loss: Loss
) -> list[npt.NDArray[np.float64]]:
    import tensorflow as tf

    to_logits, to_output = _link(model)
    generator = tf.random.Generator.from_seed(0)

    def directions(logits: Any, label: Any) -> Any:
        """√λ_k u_k in rows (passes, outputs), or random combinations whose squares have the same mean."""
        with tf.GradientTape() as outer:
            outer.watch(logits)
            with tf.GradientTape() as inner:
                inner.watch(logits)
                value = tf.reduce_mean(loss(label, to_output(logits)))
            slope = inner.gradient(value, logits, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        count = int(np.prod(logits.shape[1:]))
        hessian = outer.jacobian(slope, logits, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        hessian = tf.reshape(hessian, (count, count))
        eigenvalues, vectors = tf.linalg.eigh((hessian + tf.transpose(hessian)) / 2)
        rows = tf.transpose(vectors * tf.sqrt(tf.maximum(eigenvalues, 0)))
        if count <= MAX_PASSES:
            return rows
        signs = tf.sign(generator.uniform((MAX_PASSES, count), -1.0, 1.0)) / np.sqrt(MAX_PASSES)
        return tf.cast(signs, rows.dtype) @ rows

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator, unused-ignore]
    def diagonals(sample: list[Any], label: Any) -> list[Any]:
        rows = directions(to_logits(probe(sample, training=False)[-1]), label)
        # The sample once for each direction: a batch's rows do not know each other, so one pass does them all.
        repeated = [tf.repeat(column, tf.shape(rows)[0], axis=0) for column in sample]
        with tf.GradientTape() as tape:
            activations, output = _taped(tape, probe, repeated)
            logits = to_logits(output)
            value = tf.reduce_sum(logits * tf.reshape(rows, tf.shape(logits)))
        return [_summed(tf.square(one)) for one in _slopes(tape, value, activations)]

    return _mean_of_samples(diagonals, columns, truth)


def _taped(tape: Any, probe: Any, sample: list[Any]) -> tuple[list[Any], Any]:
    for column in sample:
        tape.watch(column)
    *activations, output = probe(sample, training=False)
    return activations, output


def _slopes(tape: Any, value: Any, activations: list[Any]) -> list[Any]:
    import tensorflow as tf

    slopes: list[Any] = tape.gradient(value, activations, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return slopes


def _summed(values: Any) -> Any:
    """Over batch and positions: (channels,)."""
    import tensorflow as tf

    return tf.reduce_sum(values, axis=tuple(range(len(values.shape) - 1)))


def _mean_of_samples(
    measure: Callable[[list[Any], Any], list[Any]], columns: Sequence[Array], truth: Array
) -> list[npt.NDArray[np.float64]]:
    """One sample at a time, as a loss may have averaged over its batch, or not."""
    import tensorflow as tf

    rows = [
        [
            np.asarray(one, dtype=np.float64)
            for one in measure(
                [tf.constant(column[place : place + 1]) for column in columns], tf.constant(truth[place : place + 1])
            )
        ]
        for place in range(len(truth))
    ]
    return [np.mean(values, axis=0) for values in zip(*rows, strict=True)]


# -- outputs and losses ---------------------------------------------------------------------------------------------


def _output_activation(model: Any) -> str:
    layer = model.outputs[0]._keras_history.operation
    if kind_of(layer) == "Softmax":
        return "softmax"
    return str(getattr(getattr(layer, "activation", None), "__name__", ""))


def _link(model: Any) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """From the model's outputs to what they are before a softmax or sigmoid, and back.

    log p is what was before a softmax, but for a constant to which softmax is blind.
    """
    import tensorflow as tf

    def log(values: Any) -> Any:
        return tf.math.log(tf.maximum(values, LEAST_PROBABILITY))

    activation = _output_activation(model)
    if activation == "softmax":
        return log, tf.nn.softmax
    if activation == "sigmoid":
        return (lambda values: log(values) - log(1 - values)), tf.sigmoid
    return tf.identity, tf.identity


def _default_loss(model: Any, truth: Array) -> Loss:
    import keras

    if not np.issubdtype(truth.dtype, np.integer) or truth.ndim > 2 or (truth.ndim == 2 and truth.shape[1] != 1):
        raise InputError(
            f"labels of dtype {truth.dtype} and shape {truth.shape} need a loss",
            where="labels",
            hint="give the loss that the model was trained with: loss=keras.losses.MeanSquaredError()",
        )
    classes, activation = model.outputs[0].shape[-1], _output_activation(model)
    if classes == 1 and activation == "sigmoid" and set(np.unique(truth)) <= {0, 1}:
        binary: Loss = keras.losses.BinaryCrossentropy()
        return binary
    if truth.min() < 0 or truth.max() >= classes:
        raise InputError(
            f"hold {truth.min()} to {truth.max()}, and the model has {classes} outputs",
            where="labels",
            hint="number the classes from 0, in the order of the model's outputs",
        )
    loss: Loss = keras.losses.SparseCategoricalCrossentropy(from_logits=activation != "softmax")
    return loss
