"""Factors of kernels, against numpy.linalg and against the definition of each."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyml_sdk.compress.low_rank.factors import Cp, Decomposition, Spatial, Svd, Tucker2

METHODS = (Svd, Tucker2, Spatial, Cp)
sides = st.integers(1, 6)
shapes = st.tuples(st.integers(1, 4), st.integers(1, 4), sides, sides)


def kernel_of(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@given(shapes, st.sampled_from([Svd, Tucker2, Spatial]))
def test_nothing_is_lost_at_full_rank(shape: tuple[int, ...], method: type[Decomposition]) -> None:
    kernel = kernel_of(shape)
    decomposition = method(kernel)
    factors = decomposition.factors(decomposition.full)
    assert decomposition.product(factors.kernels) == pytest.approx(kernel, abs=1e-9)
    assert factors.relative_error < 1e-9
    assert tuple(part.shape for part in factors.kernels) == decomposition.shapes(factors.rank)
    assert factors.parameters == decomposition.parameters(factors.rank)


@pytest.mark.slow
@settings(max_examples=40)
@given(shapes, st.sampled_from(METHODS), st.data())
def test_every_channel_between_has_norm_1(
    shape: tuple[int, ...], method: type[Decomposition], data: st.DataObject
) -> None:
    decomposition = method(kernel_of(shape))
    rank = data.draw(st.sampled_from(list(decomposition.path())[:8]))
    *between, _ = decomposition.factors(rank).kernels
    for part in between:
        channel = part.ndim - (2 if method is Cp and part is between[-1] else 1)
        norms = np.sqrt(np.square(np.moveaxis(part, channel, -1)).reshape(-1, part.shape[channel]).sum(axis=0))
        assert norms == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(3, 3, 6, 8), (5, 2, 4, 4)])
def test_error_falls_with_rank(method: type[Decomposition], shape: tuple[int, ...]) -> None:
    decomposition = method(kernel_of(shape))
    errors = [decomposition.factors(rank).relative_error for rank in itertools.islice(decomposition.path(), 0, 7, 3)]
    assert all(later < earlier for earlier, later in itertools.pairwise(errors))


def test_svd_is_numpys_for_dense_and_for_windows() -> None:
    for shape in ((12, 7), (3, 4, 7), (3, 3, 4, 7)):
        kernel = kernel_of(shape)
        u, s, v = np.linalg.svd(kernel.reshape(-1, 7).astype(np.float64), full_matrices=False)
        factors = Svd(kernel).factors((3,))
        best = (u[:, :3] * s[:3]) @ v[:3]
        assert Svd(kernel).product(factors.kernels).reshape(-1, 7) == pytest.approx(best)
        assert factors.relative_error == pytest.approx(np.sqrt((s[3:] ** 2).sum() / (s**2).sum()))


@given(st.floats(0.05, 1.0), st.integers(0, 5))
def test_energy_is_the_share_of_squared_singular_values(energy: float, seed: int) -> None:
    kernel = kernel_of((9, 6), seed)
    s = np.linalg.svd(kernel.astype(np.float64), compute_uv=False)
    (r,) = Svd(kernel).rank_for_energy(energy)
    total = (s**2).sum()
    assert (s[:r] ** 2).sum() >= energy * total * (1 - 1e-9)
    assert r == 1 or (s[: r - 1] ** 2).sum() < energy * total
    cube = kernel_of((3, 3, 6, 8), seed)
    few_in, few_out = Tucker2(cube).rank_for_energy(energy)
    each = (1 + energy) / 2
    for axis, few in ((2, few_in), (3, few_out)):
        s = np.linalg.svd(np.moveaxis(cube, axis, 0).reshape(cube.shape[axis], -1), compute_uv=False)
        assert (s[:few] ** 2).sum() >= each * (s**2).sum() * (1 - 1e-5)
        assert few == 1 or (s[: few - 1] ** 2).sum() < each * (s**2).sum() * (1 + 1e-5)
    for decomposition in (Svd(cube), Tucker2(cube), Spatial(cube)):
        rank = decomposition.rank_for_energy(energy)
        assert rank is not None
        assert decomposition.factors(rank).relative_error ** 2 <= 1 - energy + 1e-9


def test_a_kernel_of_low_rank_is_found_to_be_so() -> None:
    rng = np.random.default_rng(1)
    matrix = (rng.standard_normal((20, 3)) @ rng.standard_normal((3, 10))).astype(np.float32)
    assert Svd(matrix).rank_for_energy(1.0) == (3,)
    cube = np.einsum("ia,hwab,bo->hwio", *(rng.standard_normal(s) for s in ((8, 2), (3, 3, 2, 3), (3, 9))))
    assert Tucker2(cube).rank_for_energy(1.0) == (2, 3)
    assert Tucker2(cube).factors((2, 3)).relative_error < 1e-9
    separable = np.einsum("hir,wro->hwio", rng.standard_normal((3, 4, 2)), rng.standard_normal((5, 2, 6)))
    assert Spatial(separable).rank_for_energy(1.0) == (2,)
    sum_of_two = np.einsum("hwr,ir,ro->hwio", *(rng.standard_normal(s) for s in ((3, 3, 2), (6, 2), (2, 5))))
    assert Cp(sum_of_two).factors((2,)).relative_error < 1e-4
    assert Cp(sum_of_two).rank_for_energy(1.0) is None


def test_iteration_is_no_worse_than_hosvd() -> None:
    kernel = kernel_of((3, 3, 8, 8)).astype(np.float64)
    bases = [np.linalg.svd(np.moveaxis(kernel, axis, 0).reshape(8, -1))[0][:, :3] for axis in (2, 3)]
    projected = np.einsum("hwio,ia,ja,ob,pb->hwjp", kernel, bases[0], bases[0], bases[1], bases[1])
    hosvd = np.linalg.norm(kernel - projected) / np.linalg.norm(kernel)
    assert Tucker2(kernel).factors((3, 3)).relative_error < hosvd


@given(shapes, st.sampled_from(METHODS), st.floats(0.05, 1.5))
def test_ratio_is_the_share_of_weights(shape: tuple[int, ...], method: type[Decomposition], ratio: float) -> None:
    decomposition = method(kernel_of(shape))
    size = decomposition.kernel.size
    rank = decomposition.rank_for_ratio(ratio)
    path = list(decomposition.path())
    if rank is None:
        assert decomposition.parameters(path[0]) > ratio * size
        return
    assert decomposition.parameters(rank) <= ratio * size
    after = path[path.index(rank) + 1 :]
    assert not after or decomposition.parameters(after[0]) > ratio * size


@pytest.mark.parametrize("method", METHODS)
def test_a_kernel_of_zeros(method: type[Decomposition]) -> None:
    factors = method(np.zeros((3, 3, 4, 4), np.float32)).factors(next(method(np.zeros((3, 3, 4, 4))).path()))
    assert factors.relative_error == 0
    assert all(np.isfinite(part).all() for part in factors.kernels)
