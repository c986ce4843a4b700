"""Train an LSTM that tells nine speakers apart, quantize it to int8 and write the three files of this folder.

    python examples/speakers/train.py [--out FOLDER]

Needs the extras `keras`, `rnn` and `reference`, and the wheel of aeon 1.6.0 for its data, which pip downloads. Takes
about a minute. README.md describes what it writes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # what the examples share, wherever this is started

from wheel_data import Wheel, read_member

from tinyml_sdk import quantize_model
from tinyml_sdk.compress.saving import save_model

if TYPE_CHECKING:
    import keras

SEED = 7
UNITS = 16
EPOCHS = 150
BATCH = 32
SPEAKERS = 9
STEPS = 29  # of the longest utterance
COEFFICIENTS = 12

AEON = Wheel("aeon", "1.6.0", "d05227086706f80111ac5fee8de4d5d3115bb3bcfd1c786c8629393055816409")
CACHE = Path(__file__).resolve().parent / "data"
MEMBER = "aeon/datasets/data/JapaneseVowels/JapaneseVowels_{}.ts"

Utterances = npt.NDArray[np.float32]  # (N, 29, 12), shorter ones with zeros in front
Labels = npt.NDArray[np.int64]  # (N,), speakers 0 to 8


class Split(NamedTuple):
    """Training and test utterances as the authors divided them: 270 and 370 of the same nine speakers."""

    train_inputs: Utterances
    train_labels: Labels
    test_inputs: Utterances
    test_labels: Labels


def load_split() -> Split:
    """Read the data from aeon's wheel, which pip downloads the first time."""
    train, test = (parse(read_member(AEON, MEMBER.format(part), CACHE).decode()) for part in ("TRAIN", "TEST"))
    return Split(*train, *test)


def parse(text: str) -> tuple[Utterances, Labels]:
    """aeon's .ts format: on a line each coefficient over time, then the speaker, separated by colons."""
    lines = text[text.index("@data") :].splitlines()[1:]
    inputs = np.zeros((len(lines), STEPS, COEFFICIENTS), np.float32)
    labels = np.zeros(len(lines), np.int64)
    for row, line in enumerate(lines):
        *coefficients, speaker = line.split(":")
        series = np.array([[float(value) for value in values.split(",")] for values in coefficients]).T
        inputs[row, STEPS - len(series) :] = series
        labels[row] = int(speaker) - 1
    return inputs, labels


def build_model() -> keras.Model:
    """One LSTM whose last output is classified. Noise and dropout are there for training only."""
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((STEPS, COEFFICIENTS), name="cepstrum"),
            layers.GaussianNoise(0.1),
            layers.LSTM(UNITS, name="memory"),
            layers.Dropout(0.2),
            layers.Dense(SPEAKERS, activation="softmax", name="speaker"),
        ],
        name="speakers",
    )


def train(split: Split, seed: int = SEED) -> keras.Model:
    """Train with every source of chance seeded. The test utterances play no part."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    # Sums over several threads depend on how many cores there are; one thread gives every machine the same order.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)

    steps = EPOCHS * -(-len(split.train_inputs) // BATCH)
    model = build_model()
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1e-2, steps)),
        loss="sparse_categorical_crossentropy",
    )
    model.fit(split.train_inputs, split.train_labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return model


def main() -> int:
    """Write speakers.keras, speakers.tflite and speakers_test.npz, and print what they are good for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the three files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    split = load_split()
    save_model(train(split), out / "speakers.keras")
    np.savez_compressed(out / "speakers_test.npz", inputs=split.test_inputs, labels=split.test_labels)
    result = quantize_model(
        out / "speakers.keras",
        split.train_inputs,
        output=out / "speakers.tflite",
        validation=out / "speakers_test.npz",
    )
    assert result.accuracy is not None
    exact, int8 = result.accuracy.keras, result.accuracy.int8
    print(f"{result.parameters:,} parameters, {len(split.test_labels)} test utterances")
    print(f"accuracy, float: {exact:.4f}")
    print(f"accuracy, int8:  {'not measured: install tflite-micro' if int8 is None else f'{int8:.4f}'}")
    for name in ("speakers.keras", "speakers.tflite", "speakers_test.npz"):
        print(f"{out / name}: {(out / name).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
