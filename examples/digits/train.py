"""Train a small digit classifier, quantize it to int8 and write the three files of this folder.

    python examples/digits/train.py [--out FOLDER]

Needs the extra `keras` (TensorFlow, scikit-learn); with the extra `reference` it also measures the int8 model in
TensorFlow Lite Micro's own interpreter. Takes about 20 seconds. README.md describes what it writes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # what the examples share, wherever this is started

from keras_file import save_keras

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


def train(split: Split) -> keras.Model:
    """Train with every source of chance seeded. The test images play no part."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(SEED)
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


def without_optimizer(model: keras.Model) -> keras.Model:
    """The trained model as `build_model` makes it: not compiled."""
    plain = build_model()
    plain.set_weights(model.get_weights())
    return plain


def convert(keras_path: Path, tflite_path: Path) -> None:
    """Post-training quantization to int8, inputs and outputs included, calibrated on training images only."""
    import keras
    import tensorflow as tf

    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the converter talks; its errors come on stderr

    calibration = load_split().train_images[:CALIBRATION_IMAGES]
    model = keras.models.load_model(keras_path)
    # A dynamic batch would add SHAPE, STRIDED_SLICE and PACK to the graph: give it its batch of one first.
    single = keras.models.clone_model(model, input_tensors=keras.Input(batch_shape=(1, 8, 8, 1), name="image"))
    single.set_weights(model.get_weights())

    converter = tf.lite.TFLiteConverter.from_keras_model(single)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image[np.newaxis]] for image in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    content = converter.convert()
    check_integer_only(content)
    tflite_path.write_bytes(content)


def check_integer_only(content: bytes) -> None:
    """Raise ValueError unless every tensor is int8 or int32: asking the converter for int8 is no guarantee."""
    import tensorflow as tf

    details = tf.lite.Interpreter(model_content=content).get_tensor_details()
    for tensor in details:
        if tensor["dtype"] not in (np.int8, np.int32):
            raise ValueError(f"tensor {tensor['index']} ({tensor['name']}) stayed {tensor['dtype'].__name__}")


def convert_in_subprocess(keras_path: Path, tflite_path: Path) -> None:
    """Run `convert` in a process of its own: on some models the converter crashes."""
    process = multiprocessing.get_context("spawn").Process(target=convert, args=(keras_path, tflite_path))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise SystemExit(f"the TensorFlow Lite converter failed with exit code {process.exitcode}")


def device_accuracy(content: bytes, images: Images, labels: Labels) -> float | None:
    """Accuracy of the int8 model in TensorFlow Lite Micro's interpreter; None where that is not installed."""
    from tinyml_sdk.bench.inputs import quantize
    from tinyml_sdk.bench.reference import TflmReference
    from tinyml_sdk.graph import parse_graph

    if not TflmReference.available():
        return None
    (image_tensor,) = parse_graph(content).input_tensors
    outputs = TflmReference(content).run([[quantize(image[np.newaxis], image_tensor)] for image in images])
    predicted = np.array([np.argmax(scores) for (scores,) in outputs])
    return float(np.mean(predicted == labels))


def float_accuracy(model: Any, images: Images, labels: Labels) -> float:
    """Accuracy of the Keras model."""
    return float(np.mean(np.argmax(model.predict(images, verbose=0), axis=1) == labels))


def main() -> int:
    """Write digits.keras, digits.tflite and digits_test.npz, and print what they are good for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder for the three files")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    split = load_split()
    model = train(split)
    save_keras(without_optimizer(model), out / "digits.keras")
    convert_in_subprocess(out / "digits.keras", out / "digits.tflite")
    np.savez_compressed(out / "digits_test.npz", inputs=split.test_images, labels=split.test_labels)

    exact = float_accuracy(model, split.test_images, split.test_labels)
    int8 = device_accuracy((out / "digits.tflite").read_bytes(), split.test_images, split.test_labels)
    print(f"{model.count_params():,} parameters, {len(split.test_labels)} test images")
    print(f"accuracy, float: {exact:.4f}")
    print(f"accuracy, int8:  {'not measured: install tflite-micro' if int8 is None else f'{int8:.4f}'}")
    for name in ("digits.keras", "digits.tflite", "digits_test.npz"):
        print(f"{out / name}: {(out / name).stat().st_size:,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
