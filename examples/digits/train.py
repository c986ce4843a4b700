"""Train a small digit classifier, quantize it to int8 and write the files of this folder.

    python examples/digits/train.py [--out FOLDER]

Needs the extra `keras` (TensorFlow, scikit-learn); with the extra `reference` it also measures the int8 model in
TensorFlow Lite Micro's own interpreter. Takes about 20 seconds. README.md describes what it writes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from tinyml_sdk import quantize_model
from tinyml_sdk.compress.saving import save_model

if TYPE_CHECKING:
    import keras

SEED = 7
TEST_SHARE = 0.2
CALIBRATION_IMAGES = 300
EPOCHS = 30

Images = npt.NDArray[np.float32]  # (N, 8, 8, 1), 0 = paper, 1 = ink
Labels = npt.NDArray[np.int64]  # (N,)


class Split(NamedTuple):
    """The digits, divided once and for all: the same fifth of every class is held out on every run."""

    train_images: Images
    train_labels: Labels
    test_images: Images
    test_labels: Labels


def load_split() -> Split:
    """Read scikit-learn's copy of the digits: 1,797 images of 8x8 pixels with 17 levels of grey."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = (digits.images[..., np.newaxis] / 16).astype(np.float32)
    labels = digits.target.astype(np.int64)
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=TEST_SHARE, random_state=SEED, stratify=labels
    )
    return Split(train_images, train_labels, test_images, test_labels)


def build_model() -> keras.Model:
    """A plain, a depthwise and a pointwise convolution, pooling, one more convolution, then a classifier.

    Batch normalisation is there for training only: the converter folds it into the convolution before it.
    """
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((8, 8, 1), name="image"),
            layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Conv2D(24, 1, use_bias=False, name="pointwise"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 3, use_bias=False, name="conv_wide"),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="softmax", name="digit"),
        ],
        name="digits",
    )


def train(split: Split, seed: int = SEED) -> keras.Model:
    """Train with every source of chance seeded. The test images play no part."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    # Sums over several threads depend on how many cores there are; one thread gives every machine the same order.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    batch = 32
    steps = EPOCHS * -(-len(split.train_images) // batch)
    model = build_model()
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss="sparse_categorical_crossentropy",
    )
    model.fit(split.train_images, split.train_labels, batch_size=batch, epochs=EPOCHS, verbose=0)
    return model


def calibration_images(split: Split) -> Images:
    """Those that give the int8 ranges: training images only."""
    return split.train_images[:CALIBRATION_IMAGES]


def main() -> int:
    """Write the model, its int8 version and the data, and print what they are good for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    split = load_split()
    save_model(train(split), out / "digits.keras")
    np.savez_compressed(out / "digits_train.npz", inputs=split.train_images, labels=split.train_labels)
    np.savez_compressed(out / "digits_test.npz", inputs=split.test_images, labels=split.test_labels)
    result = quantize_model(
        out / "digits.keras",
        calibration_images(split),
        validation=out / "digits_test.npz",
        output=out / "digits.tflite",
    )
    accuracy = result.accuracy
    assert accuracy is not None
    print(f"{result.parameters:,} parameters, {accuracy.samples} test images")
    print(f"accuracy, float: {accuracy.keras:.4f}")
    print(
        f"accuracy, int8:  {'not measured: install tflite-micro' if accuracy.int8 is None else f'{accuracy.int8:.4f}'}"
    )
    for name in ("digits.keras", "digits.tflite", "digits_train.npz", "digits_test.npz"):
        print(f"{out / name}: {(out / name).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
