"""Kernels as products of smaller ones, in numpy: SVD, Tucker-2, spatial SVD and CP.

A kernel has the shape (*window, inputs, outputs): the window is (height, width) in Conv2D, (length,) in Conv1D, and
missing in Dense. Its factors are kernels too, of layers that run one after the other with nothing in between.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

__all__ = ["DECOMPOSITIONS", "Cp", "Decomposition", "Factors", "MethodName", "Spatial", "Svd", "Tucker2"]

Array = npt.NDArray[Any]
Rank = tuple[int, ...]
Shape = tuple[int, ...]
MethodName = Literal["svd", "tucker2", "spatial", "cp"]

ROUNDING = 1e-12  # of the energy: float32 kernels of low rank have about 1e-14 beyond it
TUCKER_ROUNDS = 5
CP_ROUNDS = 200
CP_STARTS = 3
CP_RIDGE = 1e-6


@dataclass(frozen=True)
class Factors:
    """What stands for a kernel.

    Attributes:
        method, rank: How it was made.
        kernels: float64, in the order in which they are applied. All but the last have output channels of norm 1, as
            the channels of an int8 tensor share one scale: those between should be of like ranges.
        relative_error: The norm of what is missing over the norm of the kernel.
    """

    method: MethodName
    rank: Rank
    kernels: tuple[Array, ...]
    relative_error: float

    @property
    def parameters(self) -> int:
        """Weights of all factors."""
        return sum(kernel.size for kernel in self.kernels)


class Decomposition(ABC):
    """One way to factorise a kernel, at any rank."""

    name: ClassVar[MethodName]

    def __init__(self, kernel: Array) -> None:
        self.kernel = kernel.astype(np.float64)
        *window, self.inputs, self.outputs = kernel.shape
        self.window: Shape = tuple(window)
        self.points = math.prod(window)

    @property
    @abstractmethod
    def full(self) -> Rank:
        """The rank at which nothing is lost."""

    @abstractmethod
    def shapes(self, rank: Rank) -> tuple[Shape, ...]:
        """Of the factors."""

    @abstractmethod
    def _factors(self, rank: Rank) -> tuple[Array, ...]:
        """The factors, not scaled yet."""

    @abstractmethod
    def product(self, kernels: tuple[Array, ...]) -> Array:
        """The kernel that factors stand for."""

    def rank_for_energy(self, energy: float) -> Rank | None:
        """The least rank known to keep a share of the kernel's squared norm, by its singular values; CP has none."""
        return None

    def path(self) -> Iterator[Rank]:
        """Ranks from the least to the full one, every number at least as large as before."""
        yield from ((r,) for r in range(1, self.full[0] + 1))

    def parameters(self, rank: Rank) -> int:
        """Weights of the factors, without computing them."""
        return sum(math.prod(shape) for shape in self.shapes(rank))

    def rank_for_ratio(self, ratio: float) -> Rank | None:
        """The greatest rank of the path whose factors have at most that share of the kernel's weights, if any."""
        best = None
        for rank in self.path():
            if self.parameters(rank) > ratio * self.kernel.size:
                break
            best = rank
        return best

    def factors(self, rank: Rank) -> Factors:
        """The factors at a rank, from 1 to `full`."""
        rank = self._useful(rank)
        kernels = _scaled(self._factors(rank))
        norm = float(np.linalg.norm(self.kernel))
        missing = float(np.linalg.norm(self.kernel - self.product(kernels)))
        return Factors(self.name, rank, kernels, missing / norm if norm else 0.0)

    def _useful(self, rank: Rank) -> Rank:
        """The rank without what cannot add anything."""
        return rank

    @property
    def _point(self) -> Shape:
        """The window of a layer that looks at a single point."""
        return (1,) * len(self.window)


class Svd(Decomposition):
    """The window with `rank` outputs, then a pointwise layer: truncated SVD of the matrix (window x inputs, outputs).

    No kernels of these shapes are nearer. Source: for dense layers, Denton et al., "Exploiting Linear Structure Within
    Convolutional Networks for Efficient Evaluation", 2014 (arXiv:1404.0736); for convolutions, Zhang et al.,
    "Accelerating Very Deep Convolutional Networks", 2015 (arXiv:1505.06798), without its data-driven part.
    """

    name = "svd"

    @property
    def full(self) -> Rank:
        """The shorter side of the matrix."""
        return (min(self.points * self.inputs, self.outputs),)

    def shapes(self, rank: Rank) -> tuple[Shape, ...]:
        """The window, and a point."""
        return (*self.window, self.inputs, rank[0]), (*self._point, rank[0], self.outputs)

    @cached_property
    def _svd(self) -> tuple[Array, Array, Array]:
        u, s, v = np.linalg.svd(self.kernel.reshape(-1, self.outputs), full_matrices=False)
        return u, s, v

    def rank_for_energy(self, energy: float) -> Rank:
        """By the singular values of the matrix: exactly the energy, and no smaller rank has it."""
        return (_rank_of(self._svd[1], energy),)

    def _factors(self, rank: Rank) -> tuple[Array, ...]:
        u, s, v = self._svd
        (r,) = rank
        first, last = self.shapes(rank)
        return u[:, :r].reshape(first), (s[:r, None] * v[:r]).reshape(last)

    def product(self, kernels: tuple[Array, ...]) -> Array:
        """The product of the two matrices."""
        first, last = kernels
        return np.asarray(first @ last.reshape(-1, self.outputs))


class Spatial(Decomposition):
    """A column (height x 1) with `rank` outputs, then a row (1 x width): SVD of (height x inputs, width x outputs).

    Source: Jaderberg et al., "Speeding up Convolutional Neural Networks with Low Rank Expansions", 2014
    (arXiv:1405.3866), scheme 2; in closed form Tai et al., 2016 (arXiv:1511.06067).
    """

    name = "spatial"

    @property
    def full(self) -> Rank:
        """The shorter side of the matrix."""
        height, width = self.window
        return (min(height * self.inputs, width * self.outputs),)

    def shapes(self, rank: Rank) -> tuple[Shape, ...]:
        """The column, and the row."""
        height, width = self.window
        return (height, 1, self.inputs, rank[0]), (1, width, rank[0], self.outputs)

    @cached_property
    def _svd(self) -> tuple[Array, Array, Array]:
        height, width = self.window
        matrix = self.kernel.transpose(0, 2, 1, 3).reshape(height * self.inputs, width * self.outputs)
        u, s, v = np.linalg.svd(matrix, full_matrices=False)
        return u, s, v

    def rank_for_energy(self, energy: float) -> Rank:
        """By the singular values of the matrix: exactly the energy, and no smaller rank has it."""
        return (_rank_of(self._svd[1], energy),)

    def _factors(self, rank: Rank) -> tuple[Array, ...]:
        u, s, v = self._svd
        (r,) = rank
        height, width = self.window
        column = u[:, :r].reshape(height, 1, self.inputs, r)
        row = (s[:r, None] * v[:r]).reshape(1, r, width, self.outputs).transpose(0, 2, 1, 3)
        return column, row

    def product(self, kernels: tuple[Array, ...]) -> Array:
        """Each column by each row, summed over the rank."""
        return np.asarray(np.einsum("hir,wro->hwio", kernels[0][:, 0], kernels[1][0]))


class Tucker2(Decomposition):
    """A pointwise layer to fewer channels, the window on those, and a pointwise layer to all outputs.

    Rank (inputs kept, outputs kept). The bases start from the SVD of the kernel unfolded along each (HOSVD) and are
    then improved in turn (higher-order orthogonal iteration). For an energy each may lose half of what may be lost,
    as what both lose adds up at the most. Source: Kim et al., "Compression of Deep Convolutional Neural Networks for
    Fast and Low Power Mobile Applications", 2016 (arXiv:1511.06530); for the iteration De Lathauwer et al., "On the
    Best Rank-1 and Rank-(R1, R2, …, RN) Approximation of Higher-Order Tensors", 2000.
    """

    name = "tucker2"

    @property
    def full(self) -> Rank:
        """The channels, or what the rest of the kernel can span of them."""
        return min(self.inputs, self.points * self.outputs), min(self.outputs, self.points * self.inputs)

    def shapes(self, rank: Rank) -> tuple[Shape, ...]:
        """A point, the core, and a point."""
        few_in, few_out = rank
        return (
            (*self._point, self.inputs, few_in),
            (*self.window, few_in, few_out),
            (*self._point, few_out, self.outputs),
        )

    def path(self) -> Iterator[Rank]:
        """In proportion to the channels."""
        for few_out in range(1, self.full[1] + 1):
            yield max(1, min(self.full[0], round(few_out * self.full[0] / self.full[1]))), few_out

    def _useful(self, rank: Rank) -> Rank:
        few_in, few_out = rank
        return min(few_in, self.points * few_out), min(few_out, self.points * few_in)

    @cached_property
    def _cube(self) -> Array:
        return self.kernel.reshape(self.points, self.inputs, self.outputs)

    @cached_property
    def _hosvd(self) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        return _basis(self._cube, 1), _basis(self._cube, 2)

    def rank_for_energy(self, energy: float) -> Rank:
        """By the singular values of the two unfoldings."""
        (_, of_inputs), (_, of_outputs) = self._hosvd
        of_each = (1 + energy) / 2
        return _rank_of(of_inputs, of_each), _rank_of(of_outputs, of_each)

    def _factors(self, rank: Rank) -> tuple[Array, ...]:
        few_in, few_out = rank
        (reduce, _), (expand, _) = self._hosvd
        reduce, expand = reduce[:, :few_in], expand[:, :few_out]
        for _ in range(TUCKER_ROUNDS):
            reduce = _basis(self._cube @ expand, 1)[0][:, :few_in]
            expand = _basis(np.einsum("pio,ia->pao", self._cube, reduce), 2)[0][:, :few_out]
        core = np.einsum("pio,ia,ob->pab", self._cube, reduce, expand)
        first, middle, last = self.shapes(rank)
        return reduce.reshape(first), core.reshape(middle), expand.T.reshape(last)

    def product(self, kernels: tuple[Array, ...]) -> Array:
        """The core, with both of its channel axes multiplied."""
        first, core, last = kernels
        first, last = first.reshape(first.shape[-2:]), last.reshape(last.shape[-2:])
        return np.asarray(np.einsum("ia,...ab,bo->...io", first, core, last))


class Cp(Decomposition):
    """A pointwise layer to `rank` channels, a depthwise window, and a pointwise layer: the sum of `rank` products.

    By alternating least squares, the best of a few fixed starts, lightly regularised, as components may otherwise grow
    without bounds against each other. Source: Lebedev et al., "Speeding-up Convolutional Neural Networks Using
    Fine-tuned CP-Decomposition", 2015 (arXiv:1412.6553), with height and width kept together.
    """

    name = "cp"

    @property
    def full(self) -> Rank:
        """Enough for any kernel; the iteration may not get there."""
        points, inputs, outputs = self.points, self.inputs, self.outputs
        return (min(points * inputs, points * outputs, inputs * outputs),)

    def shapes(self, rank: Rank) -> tuple[Shape, ...]:
        """A point, the depthwise window, whose kernel ends in its multiplier of 1, and a point."""
        return (
            (*self._point, self.inputs, rank[0]),
            (*self.window, rank[0], 1),
            (*self._point, rank[0], self.outputs),
        )

    def _factors(self, rank: Rank) -> tuple[Array, ...]:
        cube = self.kernel.reshape(self.points, self.inputs, self.outputs)
        found = [_alternating_least_squares(cube, rank[0], seed) for seed in range(CP_STARTS)]
        points, inputs, outputs = min(
            found, key=lambda sides: float(np.linalg.norm(cube - np.einsum("pr,ir,or->pio", *sides)))
        )
        first, middle, last = self.shapes(rank)
        return inputs.reshape(first), points.reshape(middle), outputs.T.reshape(last)

    def product(self, kernels: tuple[Array, ...]) -> Array:
        """The sum of the products of vectors."""
        first, middle, last = kernels
        first, last = first.reshape(first.shape[-2:]), last.reshape(last.shape[-2:])
        return np.asarray(np.einsum("ir,...r,ro->...io", first, middle[..., 0], last))


DECOMPOSITIONS: dict[MethodName, type[Decomposition]] = {kind.name: kind for kind in (Svd, Tucker2, Spatial, Cp)}


def _rank_of(singular_values: Array, energy: float) -> int:
    """The least r with sum of the first r squares ≥ energy x the sum of all, but for rounding; at least 1."""
    kept = np.cumsum(np.square(singular_values))
    return int(np.searchsorted(kept, kept[-1] * (energy - ROUNDING))) + 1 if kept[-1] > 0 else 1


def _basis(cube: Array, axis: int) -> tuple[Array, Array]:
    """Orthonormal directions of an axis, the strongest first, and their singular values."""
    u, s, _ = np.linalg.svd(np.moveaxis(cube, axis, 0).reshape(cube.shape[axis], -1), full_matrices=False)
    return u, s


def _alternating_least_squares(cube: Array, rank: int, seed: int) -> list[Array]:
    """A matrix (size, rank) for each axis, whose columns' products add up to the cube: a local optimum."""
    unfolded = [np.moveaxis(cube, axis, 0).reshape(cube.shape[axis], -1) for axis in range(3)]
    random = np.random.default_rng(seed)
    sides = [random.standard_normal((size, rank)) for size in cube.shape]
    for _ in range(CP_ROUNDS):
        for axis in range(3):
            # Columns of norm 1 on the other sides: then the ridge means the same at any scale.
            sides = [side if k == axis else side / _norms(side) for k, side in enumerate(sides)]
            one, other = (sides[k] for k in range(3) if k != axis)
            gram = (one.T @ one) * (other.T @ other) + CP_RIDGE * np.eye(rank)
            khatri_rao = np.einsum("ar,br->abr", one, other).reshape(-1, rank)
            sides[axis] = np.linalg.solve(gram, (unfolded[axis] @ khatri_rao).T).T
    return sides


def _norms(columns: Array) -> Array:
    norms = np.linalg.norm(columns, axis=0)
    return np.where(norms > 0, norms, 1.0)


def _scaled(kernels: tuple[Array, ...]) -> tuple[Array, ...]:
    """The same product, with the magnitude of every channel moved into the last factor."""
    scaled = list(kernels)
    for index, kernel in enumerate(scaled[:-1]):
        depthwise = kernel.shape[-1] == 1 and scaled[index + 1].shape[-2] != 1
        channel = kernel.ndim - (2 if depthwise else 1)
        norms = np.sqrt(np.square(kernel).sum(axis=tuple(a for a in range(kernel.ndim) if a != channel)))
        norms[norms == 0] = 1.0
        scaled[index] = kernel / (norms[:, None] if depthwise else norms)
        scaled[index + 1] = scaled[index + 1] * norms[:, None]
    return tuple(scaled)
