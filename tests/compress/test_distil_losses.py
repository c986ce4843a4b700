"""The terms of distillation's loss, each against its definition in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.distances import divergence, sigmoid, softmax

from tinyml_sdk.compress.distil import losses

RNG = np.random.default_rng(11)


@pytest.mark.slow
@pytest.mark.parametrize("temperature", [1.0, 4.0, 20.0])
def test_soft_labels_are_hintons(keras: Any, temperature: float) -> None:
    teacher, student = RNG.standard_normal((2, 5, 7)) * 4
    expected = temperature**2 * divergence(softmax(teacher / temperature), softmax(student / temperature))
    assert np.allclose(losses.soft_labels(teacher, student, temperature), expected, rtol=1e-4)
    assert np.allclose(losses.soft_labels(teacher, teacher + 3, temperature), 0, atol=1e-6 * temperature**2)


@pytest.mark.slow
def test_soft_labels_by_hand(keras: Any) -> None:
    """Teacher 3:1, student 1:1: 3/4 ln(3/2) + 1/4 ln(1/2). With T = 2, (√3:1), times four."""
    teacher, student = np.log([[3.0, 1.0]]), np.zeros((1, 2))
    assert float(losses.soft_labels(teacher, student, 1.0)[0]) == pytest.approx(0.130812, abs=1e-6)
    p = np.sqrt(3) / (np.sqrt(3) + 1)
    by_hand = 4 * (p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p)))
    assert float(losses.soft_labels(teacher, student, 2.0)[0]) == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.slow
def test_soft_labels_average_over_time_steps(keras: Any) -> None:
    teacher, student = RNG.standard_normal((2, 3, 6, 4))
    expected = divergence(softmax(teacher), softmax(student)).mean(axis=1)
    assert np.allclose(losses.soft_labels(teacher, student, 1.0), expected, rtol=1e-4)


@pytest.mark.slow
def test_binary_soft_labels(keras: Any) -> None:
    teacher, student = RNG.standard_normal((2, 5, 3)) * 3
    wanted, got = sigmoid(teacher / 3), sigmoid(student / 3)
    expected = 9 * (divergence(np.stack([wanted, 1 - wanted], -1), np.stack([got, 1 - got], -1))).mean(axis=-1)
    assert np.allclose(losses.binary_soft_labels(teacher, student, 3.0), expected, rtol=1e-4)
    assert np.isfinite(losses.binary_soft_labels(np.array([[500.0]]), np.array([[-500.0]]), 1.0)).all()


@pytest.mark.slow
def test_logits_come_back_from_probabilities(keras: Any) -> None:
    """Softmax up to a constant, over a range far beyond Keras's own clipping at 1e-7; sigmoid until float32 is 1."""
    logits = np.array([[0.0, -3.0, -40.0, -80.0]], np.float32)
    recovered = np.array(losses.softmax_logits(keras.ops.softmax(logits)))
    assert np.allclose(recovered - recovered[:, :1], logits, rtol=1e-5)
    several = np.array([[-80.0, -5.0, 0.0, 5.0, 9.0]], np.float32)
    assert np.allclose(losses.sigmoid_logits(keras.ops.sigmoid(several)), several, rtol=1e-3)
    assert np.isfinite(losses.sigmoid_logits(np.array([[0.0, 1.0]]))).all()
    assert np.isfinite(losses.softmax_logits(np.array([[0.0, 1.0]]))).all()


@pytest.mark.slow
def test_the_gradient_through_recovered_logits_is_that_of_the_logits(keras: Any) -> None:
    import tensorflow as tf

    teacher = tf.constant([[4.0, 1.0, -2.0, 0.0]])
    student = tf.Variable([[-30.0, 0.0, 2.0, 1.0]])
    gradients = []
    for logits in (lambda: student, lambda: losses.softmax_logits(tf.nn.softmax(student))):
        with tf.GradientTape() as tape:
            loss = losses.soft_labels(teacher, logits(), 4.0)
        gradients.append(np.array(tape.gradient(loss, student)))
    assert np.allclose(*gradients, rtol=1e-3, atol=1e-6)
    expected = 4 * (softmax(student.numpy() / 4) - softmax(teacher.numpy() / 4))
    assert np.allclose(gradients[0], expected, atol=1e-5)


@pytest.mark.slow
def test_feature_and_attention_losses(keras: Any) -> None:
    teacher, student = RNG.standard_normal((2, 3, 4, 5, 6))
    assert np.allclose(losses.mean_squared_error(teacher, student), ((teacher - student) ** 2).mean((1, 2, 3)))

    def attention(features: np.ndarray) -> np.ndarray:
        energy = (features**2).sum(-1).reshape(3, -1)
        return energy / np.linalg.norm(energy, axis=1, keepdims=True)

    expected = ((attention(teacher) - attention(student[..., :2])) ** 2).sum(1)
    assert np.allclose(losses.attention_transfer(teacher, student[..., :2]), expected, rtol=1e-4)


@pytest.mark.slow
def test_attention_by_hand(keras: Any) -> None:
    """Active at one of two positions, or at the other: 2. Twice as active is equal. A silent layer has no NaN."""
    import tensorflow as tf

    left, right = np.array([[[3.0, 4.0], [0.0, 0.0]]]), np.array([[[0.0], [7.0]]])
    assert float(losses.attention_transfer(left, right)[0]) == pytest.approx(2)
    assert float(losses.attention_transfer(left, 2 * left)[0]) == pytest.approx(0, abs=1e-6)
    silent = tf.Variable(np.zeros((1, 2, 1), np.float32))
    with tf.GradientTape() as tape:
        loss = losses.attention_transfer(left, silent)
    assert float(loss[0]) == pytest.approx(1)
    assert np.array_equal(tape.gradient(loss, silent), np.zeros((1, 2, 1)))


@pytest.mark.parametrize(("size", "target"), [(8, 8), (8, 4), (9, 3), (5, 3), (7, 2), (10, 1)])
def test_pooling_matrix_averages(size: int, target: int) -> None:
    matrix = losses.pooling_matrix(size, target)
    assert matrix.shape == (target, size)
    assert np.allclose(matrix.sum(axis=1), 1)
    assert np.allclose(matrix.sum(axis=0), target / size)  # every position counts the same
    if size % target == 0:
        values = RNG.standard_normal(size)
        assert np.allclose(matrix @ values, values.reshape(target, -1).mean(axis=1), atol=1e-6)


def test_pooling_matrix_by_hand() -> None:
    assert np.allclose(losses.pooling_matrix(3, 2), [[2 / 3, 1 / 3, 0], [0, 1 / 3, 2 / 3]])


@pytest.mark.slow
def test_pool_to_size_averages_each_axis(keras: Any) -> None:
    values = RNG.standard_normal((2, 4, 6, 3)).astype(np.float32)
    expected = values.reshape(2, 2, 2, 2, 3, 3).mean(axis=(2, 4))
    assert np.allclose(losses.pool_to_size(values, (2, 2)), expected, atol=1e-6)
