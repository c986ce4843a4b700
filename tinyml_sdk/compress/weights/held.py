"""What must still hold after fine-tuning: zeros stay zero, and weights that are shared stay equal.

Both are Keras variable constraints, which every Keras optimizer applies after each of its updates and inside the
compiled step: whatever gradient, momentum or weight decay did, the weights are put back. What must hold is read from
the weights themselves, so it outlives saving, loading and other stages.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from ..weight_layers import Kernel, known_layer, layer_kernels

__all__ = ["constrained", "hold", "retraced"]

Array = npt.NDArray[Any]
Projection = Callable[[Any], Any]


@contextmanager
def hold(model: Any, zeros: Collection[str] = (), shared: Collection[str] = ()) -> Iterator[None]:
    """Within the block, training keeps the zeros, and the equal weights, of some layers' kernels.

    Both are orthogonal projections: they give the nearest kernel (in the sum of squares) that holds to what is asked.
    For zeros that is setting them; for a cluster of weights that must be equal it is their mean. A constraint that the
    layer has of its own is applied before, and stays when the block ends. At the end the weights are projected once
    more, as moving averages of weights (`use_ema`) are taken before constraints.

    Args:
        model: Built; may be compiled before or within. To train it as a part of another model (a distiller), compile
            that one within the block, as a step that was compiled before knows of no constraint.
        zeros: Names of layers (paths in nested models) whose zero weights stay zero.
        shared: Names of layers whose equal weights stay equal. In one that is in `zeros` too, the zeros stay a
            cluster at zero; in others they train as a cluster like any other.

    Raises:
        InputError: a name is unknown, or weights are NaN.
    """
    kernels = layer_kernels(model)
    for name in (*zeros, *shared):
        known_layer(name, kernels, "fine-tuning")
    with ExitStack() as stack:
        stack.enter_context(retraced(model))
        for name, kernel in kernels.items():
            projection = _projection(kernel, name in zeros, name in shared)
            if projection is not None:
                stack.enter_context(constrained(kernel.variable, projection))
        yield


@contextmanager
def constrained(variable: Any, projection: Projection) -> Iterator[None]:
    """Within the block a Keras variable is projected after each update, and when it ends.

    Args:
        variable: Of a model.
        projection: From the variable to a tensor of its shape; idempotent. Its own constraint goes before.
    """
    own = variable.constraint
    variable.constraint = projection if own is None else lambda weights: projection(own(weights))
    try:
        yield
    finally:
        variable.constraint = own
        variable.assign(projection(variable))


@contextmanager
def retraced(model: Any) -> Iterator[None]:
    """Have the training step traced anew in the block and after it: a traced one has its constraints built in."""
    model.train_function = None
    try:
        yield
    finally:
        model.train_function = None


def _projection(kernel: Kernel, zeros: bool, shared: bool) -> Projection | None:
    if not zeros and not shared:
        return None
    values = kernel.turned(kernel.read())
    keep_zero = _zeros_kept(values != 0) if zeros and not values.all() else None
    keep_equal = _equals_kept(values) if shared else None
    if keep_zero is None or keep_equal is None:
        return keep_zero or keep_equal
    # Last, as a mean of zeros moves with the gradient like any other.
    return lambda weights: keep_zero(keep_equal(weights))


def _zeros_kept(kept: Array) -> Projection:
    from keras import ops

    mask = ops.convert_to_tensor(kept)
    # Not a product: 0 x NaN would hide a diverged weight among its neighbours, and 0 x -1 is -0.
    return lambda weights: ops.where(mask, weights, ops.zeros_like(weights))


def _equals_kept(values: Array) -> Projection | None:
    from keras import ops

    codebook, first, cluster = np.unique(values.ravel(), return_index=True, return_inverse=True)
    if codebook.size == values.size:
        return None
    clusters = int(codebook.size)
    first_of = ops.convert_to_tensor(first.astype(np.int32))
    cluster_of = ops.convert_to_tensor(cluster.ravel().astype(np.int32))
    sizes = ops.convert_to_tensor(np.bincount(cluster.ravel(), minlength=clusters).astype(values.dtype))

    def mean_of_each_cluster(weights: Any) -> Any:
        flat = ops.reshape(weights, (-1,))
        # Around a member of each cluster, so that equal weights come out as they went in, to the last bit.
        members = ops.take(flat, first_of)
        apart = flat - ops.take(members, cluster_of)
        means = members + ops.segment_sum(apart, cluster_of, num_segments=clusters) / sizes
        return ops.reshape(ops.take(means, cluster_of), weights.shape)

    return mean_of_each_cluster
