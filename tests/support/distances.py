"""Softmax, sigmoid and divergence in numpy, as their definitions say."""

import numpy as np


def softmax(logits: np.ndarray) -> np.ndarray:
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


def divergence(wanted: np.ndarray, got: np.ndarray) -> np.ndarray:
    return np.sum(wanted * np.log(wanted / got), axis=-1)
