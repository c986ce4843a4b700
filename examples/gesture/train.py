"""Train a network that tells seven exercises apart by a watch, quantize it, and write the files of this folder.

    python examples/gesture/train.py [--out FOLDER]

Needs the extra `keras` (TensorFlow) and, the first time, the network: the recordings come in an 11 MB wheel. With the
extra `reference` the int8 model is measured too. Takes about a minute. README.md describes what it writes.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # what the examples share, wherever this is started

from wheel_data import Wheel, read_member

from tinyml_sdk import quantize_model
from tinyml_sdk.compress.saving import save_model

if TYPE_CHECKING:
    import keras

SEED = 7
EPOCHS = 16
BATCH = 64

SEGLEARN = Wheel("seglearn", "1.2.5", "ec6b952c85c9627050102854b372d85951563d3b990df677d7c55547e87413dd")
RECORDINGS = "seglearn/data/watch_dataset.npy"
CACHE = Path(__file__).resolve().parent / "data"

EXERCISES = (
    "pendulum",
    "abduction",
    "forward elevation",
    "internal rotation",
    "external rotation",
    "trapezius extension",
    "upright row",
)
HELD_OUT_SUBJECTS = (8, 9, 10)  # of 1 to 10

WINDOW = 100  # samples at 50 Hz: two seconds
STEP = 50  # between the windows of a training recording; those of a test recording do not overlap
# One unit of the network's input is 1 g, or 4 rad/s, and it is a multiple of 1/64 from -2 up to, not including, 2:
# so the int8 input of the firmware is the acceleration in 1/64 g and the angular rate in 1/16 rad/s.
UNITS = np.array([1, 1, 1, 4, 4, 4])
STEPS_PER_UNIT = 64

TURNED_COPIES = 7
TURN = np.radians(45)
PACE = 0.3
CALIBRATION_WINDOWS = 128

Windows = npt.NDArray[np.float32]  # (N, 100, 6): acceleration x y z, angular rate x y z, in units as above
Labels = npt.NDArray[np.int64]  # (N,), positions in EXERCISES
Signal = npt.NDArray[np.float64]  # (…, 6) in g and rad/s


class Split(NamedTuple):
    """The recordings of seven people to train on, those of three others to test with."""

    train_windows: Windows
    train_labels: Labels
    train_subjects: Labels
    test_windows: Windows
    test_labels: Labels


class Recording(NamedTuple):
    """One person doing one exercise about twenty times."""

    signal: Signal
    exercise: int
    subject: int


def load_recordings() -> list[Recording]:
    """All 140: ten people, seven exercises, either arm."""
    content = read_member(SEGLEARN, RECORDINGS, CACHE)
    # A pickle, which could run code: the wheel's SHA-256 was checked.
    data = np.load(io.BytesIO(content), allow_pickle=True).item()
    return [Recording(*row) for row in zip(data["X"], data["y"].tolist(), data["subject"].tolist(), strict=True)]


def load_split(turned_copies: int = TURNED_COPIES) -> Split:
    """Windows of two seconds, by person: nobody is in both parts.

    Args:
        turned_copies: How often each training window comes again (see `turn`), after all that are as recorded.
    """
    recordings = load_recordings()
    train = [recording for recording in recordings if recording.subject not in HELD_OUT_SUBJECTS]
    test = [recording for recording in recordings if recording.subject in HELD_OUT_SUBJECTS]
    train_signals, train_labels, train_subjects = cut(train, STEP)
    test_signals, test_labels, _ = cut(test, WINDOW)
    rng = np.random.default_rng(SEED)
    copies = [train_signals, *(turn(train_signals, rng) for _ in range(turned_copies))]
    return Split(
        as_inputs(np.concatenate(copies)),
        np.tile(train_labels, len(copies)),
        np.tile(train_subjects, len(copies)),
        as_inputs(test_signals),
        test_labels,
    )


def cut(recordings: list[Recording], step: int) -> tuple[Signal, Labels, Labels]:
    """Windows every `step` samples, (N, 100, 6), with their exercises and subjects."""

    def windows() -> Iterator[Recording]:
        for signal, exercise, subject in recordings:
            for start in range(0, len(signal) - WINDOW + 1, step):
                yield Recording(signal[start : start + WINDOW], exercise, subject)

    signals, exercises, subjects = zip(*windows(), strict=True)
    return np.array(signals), np.array(exercises, np.int64), np.array(subjects, np.int64)


def turn(signals: Signal, rng: np.random.Generator) -> Signal:
    """The same movements with the watch worn otherwise: each window turned about an axis of its own by up to 45°.

    The angular rate is scaled by 0.7 to 1.3 too, as nobody moves at the same pace.
    """
    count = len(signals)
    axis = rng.standard_normal((count, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    angle = rng.uniform(-TURN, TURN, (count, 1, 1))
    # Rodrigues: with K v = axis x v, the rotation is 1 + sin K + (1 - cos) K².
    cross = np.cross(np.eye(3), axis[:, np.newaxis])
    rotation = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * (cross @ cross)
    pace = rng.uniform(1 - PACE, 1 + PACE, (count, 1, 1))
    return np.concatenate([signals[..., :3] @ rotation, signals[..., 3:] @ rotation * pace], axis=-1)


def as_inputs(signals: Signal) -> Windows:
    """What the network sees of signals in g and rad/s."""
    steps = np.rint(signals / UNITS * STEPS_PER_UNIT)
    inputs: Windows = (np.clip(steps, -128, 127) / STEPS_PER_UNIT).astype(np.float32)
    return inputs


def build_model() -> keras.Model:
    """Three convolutions over time with pooling between, the average over time, and a classifier.

    Batch normalisation is there for training only: the converter folds it into the convolution before it.
    """
    from keras import Input, Sequential, layers

    def convolution(filters: int, width: int, name: str) -> list[Any]:
        return [
            layers.Conv1D(filters, width, padding="same", use_bias=False, name=name),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]

    return Sequential(
        [
            Input((WINDOW, 6), name="motion"),
            *convolution(16, 5, "conv_1"),
            layers.MaxPooling1D(2),
            *convolution(32, 5, "conv_2"),
            layers.MaxPooling1D(2),
            *convolution(32, 3, "conv_3"),
            layers.GlobalAveragePooling1D(),
            layers.Dropout(0.3),
            layers.Dense(len(EXERCISES), activation="softmax", name="exercise"),
        ],
        name="gesture",
    )


def train(split: Split, seed: int = SEED) -> keras.Model:
    """Train with every source of chance seeded. The test windows play no part."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    # Sums over several threads depend on how many cores there are; one thread gives every machine the same order.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    steps = EPOCHS * -(-len(split.train_windows) // BATCH)
    model = build_model()
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss="sparse_categorical_crossentropy",
    )
    model.fit(split.train_windows, split.train_labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model


def save_data(split: Split, out: Path) -> None:
    """The .npz files; float16 holds multiples of 1/64 up to 2 exactly."""

    def save(path: Path, windows: Windows, labels: Labels) -> None:
        np.savez_compressed(path, inputs=windows.astype(np.float16), labels=labels)

    recorded = len(split.train_windows) // (TURNED_COPIES + 1)
    spread = np.linspace(0, recorded - 1, CALIBRATION_WINDOWS).round().astype(int)
    save(out / "gesture_test.npz", split.test_windows, split.test_labels)
    save(out / "gesture_calibration.npz", split.train_windows[spread], split.train_labels[spread])
    CACHE.mkdir(exist_ok=True)
    save(CACHE / "gesture_train.npz", split.train_windows, split.train_labels)


def main() -> int:
    """Write the model in float and in int8 and the data of README.md, and print what they are good for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    split = load_split()
    save_model(train(split), out / "gesture.keras")
    save_data(split, out)
    result = quantize_model(
        out / "gesture.keras",
        out / "gesture_calibration.npz",
        output=out / "gesture.tflite",
        validation=out / "gesture_test.npz",
    )
    accuracy = result.accuracy
    assert accuracy is not None
    print(f"{result.parameters:,} parameters, {result.macs:,} MACs, {accuracy.samples} windows of people never seen")
    print(f"accuracy, float: {accuracy.keras:.4f}")
    int8 = "not measured: install tflite-micro" if accuracy.int8 is None else f"{accuracy.int8:.4f}"
    print(f"accuracy, int8:  {int8}")
    for name in ("gesture.keras", "gesture.tflite", "gesture_test.npz", "gesture_calibration.npz"):
        print(f"{out / name}: {(out / name).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
