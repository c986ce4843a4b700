"""Masks by hand, and what every mask must be whatever the kernel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinyml_sdk.compress.weights.masks import Blocks, NOfM, PruningTarget, parse_pattern
from tinyml_sdk.errors import InputError

small = st.integers(-6, 6).map(float)  # many ties and zeros
kernels = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=4, max_side=9), elements=small)


def mask(kernel: object, **options: object) -> np.ndarray:
    values = np.asarray(kernel, np.float32)
    return PruningTarget(**options).masks({"k": values})["k"]  # type: ignore[arg-type]


def test_sparsity_by_hand() -> None:
    kernel = [[0.1, -0.5, 0.3], [-0.2, 0.4, 0.6]]
    assert mask(kernel, sparsity=0.5).tolist() == [[False, True, False], [False, True, True]]


def test_the_threshold_itself_stays() -> None:
    """0.7 has no exact float32: compared as float64, the weight 0.7 would be below 0.7."""
    assert mask([[0.7, -0.7, 0.69999], [0.8, 0.0, -0.1]], threshold=0.7).tolist() == [
        [True, True, False],
        [True, False, False],
    ]


def test_global_takes_the_smallest_of_all_layers_and_layer_the_same_of_each() -> None:
    pair = {"small": np.array([[0.1, 0.2, 0.3, 0.4]], np.float32), "large": np.array([[5.0, 6, 7, 8]], np.float32)}
    together = PruningTarget(sparsity=0.375).masks(pair)
    assert together["small"].tolist() == [[False, False, False, True]]
    assert together["large"].all()
    apart = PruningTarget(sparsity=0.5, scope="layer").masks(pair)
    assert apart["small"].tolist() == apart["large"].tolist() == [[False, False, True, True]]


def test_no_layer_is_cut_off() -> None:
    pair = {"small": np.array([[0.1, 0.2]], np.float32), "large": np.arange(1, 9, dtype=np.float32)[None]}
    masks = PruningTarget(sparsity=0.5).masks(pair)
    assert masks["small"].tolist() == [[False, True]]
    assert sum(int((~kept).sum()) for kept in masks.values()) == 5
    assert mask([[1.0, 2.0]], sparsity=0.99).tolist() == [[False, True]]


def test_overrides_do_not_compete() -> None:
    kernel = np.arange(1, 11, dtype=np.float32)[None]
    masks = PruningTarget(sparsity=0.5, overrides={"a": 0.9, "b": 0.0}).masks({"a": kernel, "b": kernel, "c": kernel})
    assert [int((~masks[name]).sum()) for name in "abc"] == [9, 0, 5]


def test_two_of_four_along_the_input_channels() -> None:
    column = np.array([[0.1, -0.4, 0.2, 0.3, 5.0, 1.0, 6.0]], np.float32).T  # 7 inputs of one output
    assert mask(column, pattern=NOfM(2, 4)).ravel().tolist() == [False, True, False, True, True, False, True]
    assert mask(column[:2], pattern=NOfM(2, 4)).all()  # a tail no longer than N loses nothing


@settings(max_examples=40)
@given(kernels, st.sampled_from([(1, 2), (2, 4), (1, 4), (3, 4), (2, 8)]))
def test_n_of_m_holds_and_keeps_the_greatest(kernel: np.ndarray, numbers: tuple[int, int]) -> None:
    kept, group = numbers
    result = mask(kernel, pattern=NOfM(kept, group))
    for start in range(0, kernel.shape[-2], group):
        stays = result[..., start : start + group, :]
        values = np.abs(kernel[..., start : start + group, :])
        assert (stays.sum(axis=-2) == min(kept, stays.shape[-2])).all()
        assert (np.where(stays, values, np.inf).min(-2) >= np.where(stays, -np.inf, values).max(-2)).all()


def test_blocks_by_hand_and_by_both_norms() -> None:
    kernel = np.array([[3, 0, 0, 0], [2, 2, 0, 0]], np.float32).T  # (inputs, outputs): L1 3 and 4, L2 3 and 2.83
    by_l1 = mask(kernel, sparsity=0.5, pattern=Blocks(1, 4), norm="l1")
    by_l2 = mask(kernel, sparsity=0.5, pattern=Blocks(1, 4), norm="l2")
    assert by_l1.T.tolist() == [[False] * 4, [True] * 4]
    assert by_l2.T.tolist() == [[True] * 4, [False] * 4]


@settings(max_examples=40)
@given(kernels, st.integers(1, 3), st.integers(1, 4), st.floats(0.05, 0.95))
def test_blocks_go_as_a_whole_and_to_the_count(kernel: np.ndarray, outputs: int, inputs: int, sparsity: float) -> None:
    result = mask(kernel, sparsity=sparsity, pattern=Blocks(outputs, inputs))
    removed = blocks = 0
    for i in range(0, kernel.shape[-2], inputs):
        for o in range(0, kernel.shape[-1], outputs):
            part = result[..., i : i + inputs, o : o + outputs]
            part = part.reshape(-1, *part.shape[-2:])
            for block in part:
                assert block.all() or not block.any()
            removed += sum(not block.any() for block in part)
            blocks += len(part)
    assert removed == min(int(np.floor(sparsity * blocks + 0.5)), blocks - 1)


@settings(max_examples=40)
@given(kernels, st.floats(0.01, 0.99))
def test_sparsity_is_exact_and_the_rest_is_greater(kernel: np.ndarray, sparsity: float) -> None:
    stays = mask(kernel, sparsity=sparsity)
    assert (~stays).sum() == min(int(np.floor(sparsity * kernel.size + 0.5)), kernel.size - 1)
    if not stays.all():
        assert np.abs(kernel[~stays]).max() <= np.abs(kernel[stays]).min()


@settings(max_examples=40)
@given(kernels, st.sampled_from([None, Blocks(1, 4), NOfM(1, 4)]), st.lists(st.floats(0, 1), min_size=2, max_size=5))
def test_what_a_share_removes_a_greater_one_removes_too(
    kernel: np.ndarray, pattern: NOfM | Blocks | None, shares: list[float]
) -> None:
    target = PruningTarget(sparsity=None if isinstance(pattern, NOfM) else 0.7, pattern=pattern)
    before = np.ones(kernel.shape, bool)
    for share in [*sorted(shares), 1.0]:
        kernel = np.where(before, kernel, 0)
        now = target.masks({"k": kernel}, share)["k"]
        assert not (kernel[now & ~before]).any()
        assert (~now).sum() >= (~before).sum()
        before = now
    assert np.array_equal(before, target.masks({"k": kernel})["k"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "how much"),
        ({"sparsity": 0.5, "threshold": 0.1}, "only once"),
        ({"sparsity": 0.5, "pattern": NOfM(2, 4)}, "only once"),
        ({"pattern": Blocks(1, 4)}, "how much"),
        ({"threshold": 0.5, "pattern": Blocks(1, 4)}, "no threshold"),
        ({"sparsity": 0.0}, "sparsity of 0"),
        ({"sparsity": 1.0}, "sparsity of 1"),
        ({"sparsity": float("nan")}, "sparsity of nan"),
        ({"threshold": -1.0}, "threshold of -1"),
        ({"threshold": float("inf")}, "threshold of inf"),
        ({"sparsity": 0.5, "overrides": {"a": 1.0}}, "layer 'a'"),
        ({"sparsity": 0.5, "overrides": {"a": -0.1}}, "layer 'a'"),
        ({"pattern": NOfM(2, 4), "overrides": {"a": 0.5}}, "N:M decides"),
        ({"sparsity": 0.5, "scope": "everywhere"}, "no scope"),
        ({"sparsity": 0.5, "norm": "l3"}, "no norm"),
    ],
)
def test_bad_targets(options: dict[str, object], says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        PruningTarget(**options)  # type: ignore[arg-type]
    assert caught.value.hint


def test_patterns() -> None:
    assert parse_pattern("2:4") == NOfM(2, 4)
    assert parse_pattern("1x4") == Blocks(1, 4)
    for bad in ("", "4:4", "0:4", "5:4", "0x4", "2-4", "1x", "2:4:8", "99999:100000"):
        with pytest.raises(InputError, match="no pattern"):
            parse_pattern(bad)
