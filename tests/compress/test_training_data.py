"""Training data: every form it may come in, and everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk.compress.data import hold_out, load_training_data
from tinyml_sdk.errors import InputError

INPUTS = [("image", (1, 4, 4, 1))]
X = np.random.default_rng(0).standard_normal((60, 4, 4, 1)).astype(np.float32)
Y = np.arange(60) % 3


def load(data: Any, output: tuple[int, ...] = (3,)) -> Any:
    return load_training_data(data, INPUTS, output, "training")


def test_files_arrays_and_pairs_are_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "train.npz", inputs=X, labels=Y)
    for data in (tmp_path / "train.npz", {"inputs": X, "labels": Y}, {"image": X, "labels": Y}, (X, Y)):
        samples = load(data)
        assert np.array_equal(samples.columns[0], X)
        assert np.array_equal(samples.labels, Y)
        assert len(samples) == 60


def test_an_autoencoder_needs_no_labels() -> None:
    samples = load({"inputs": X}, (4, 4, 1))
    assert samples.labels.dtype == np.float64
    assert np.allclose(samples.labels, X)


def test_real_valued_labels_are_kept() -> None:
    assert load((X, X.mean(axis=(1, 2)))).labels.shape == (60, 1)


@pytest.mark.parametrize(
    ("data", "message", "hint"),
    [
        ({"inputs": X}, "there are no labels", "'labels'"),
        ((X[:10], Y[:10]), "10 training samples are too few", ""),
        ((X, Y[:50]), "expected 60 integers", ""),
        ((X, Y.astype(str)), "expected 60 integers", ""),
        ((X[..., 0][:, :2], Y), "shape (60, 2, 4) does not fit", ""),
        ((np.where(X > 2, np.nan, X), Y), "NaN or infinity", "remove these"),
        ((X, np.where(Y == 0, np.nan, 1.0)), "NaN or infinity", ""),
        ((X, Y, Y), "is a tuple of 3", "give inputs and labels"),
        (42, "is a int", "tf.data.Dataset"),
        ("no such.npz", "", ""),
    ],
)
def test_bad_data_is_told(data: Any, message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        load(data)
    assert message in str(caught.value)
    assert hint in caught.value.hint


def test_a_fifth_is_held_out_of_every_class() -> None:
    samples = load((X, np.repeat([0, 1, 2], [10, 20, 30])))
    rest, held = hold_out(samples, 0.2, seed=3)
    assert np.bincount(held.labels).tolist() == [2, 4, 6]
    assert np.bincount(rest.labels).tolist() == [8, 16, 24]
    both = np.concatenate([rest.columns[0], held.columns[0]])
    assert len(np.unique(both.reshape(60, -1), axis=0)) == 60
    assert np.array_equal(hold_out(samples, 0.2, seed=3)[1].labels, held.labels)


def test_the_first_are_spread_over_all() -> None:
    samples = load((X, Y))
    assert np.array_equal(samples.first(3).columns[0], X[[0, 29, 59]])
    assert len(samples.first(1000)) == 60


@pytest.mark.slow
def test_tf_data() -> None:
    require_tool("tensorflow")
    import tensorflow as tf

    stream = tf.data.Dataset.from_tensor_slices((X, Y))
    samples = load(stream.batch(16))
    assert (len(samples), samples.batches) == (60, 4)
    assert np.array_equal(samples.columns[0], X)
    with pytest.raises(InputError, match="endless"):
        load(stream.batch(16).repeat())
    with pytest.raises(InputError, match="does not give"):
        load(tf.data.Dataset.from_tensor_slices(X).batch(16))
    with pytest.raises(InputError, match="gives no batches"):
        load(stream.batch(16).take(0))
    with pytest.raises(InputError, match="cannot be divided"):
        hold_out(samples, 0.2, 0)
