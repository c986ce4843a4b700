"""A MobileNetV3 block and a small U-Net, all the way: filters pruned, fine-tuned, trained for int8, on a Cortex-M4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk import benchmark, quantize_model

pytestmark = pytest.mark.slow


def mobilenet_v3_block() -> Any:
    """As keras.applications has it: its hard_sigmoid is x + 3, ReLU6 and a product."""
    import keras
    from keras import layers as kl

    def convolution(x: Any, filters: int, size: int, name: str, **options: Any) -> Any:
        x = kl.Conv2D(filters, size, padding="same", use_bias=False, name=name, **options)(x)
        return kl.BatchNormalization()(x)

    i = keras.Input((12, 12, 3))
    x = convolution(kl.Rescaling(1 / 127.5, offset=-1.0)(i), 8, 3, "stem", strides=2)
    x = kl.Activation("hard_swish")(x)
    y = kl.Activation("hard_swish")(convolution(x, 16, 1, "expand"))
    y = kl.BatchNormalization()(kl.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise")(y))
    y = kl.Activation("hard_swish")(y)
    gate = kl.Conv2D(8, 1, activation="relu", name="squeeze")(kl.GlobalAveragePooling2D(keepdims=True)(y))
    gate = kl.ReLU(6.0)(kl.Conv2D(16, 1, name="excite")(gate) + 3.0) * (1 / 6)
    x = kl.Add()([x, convolution(kl.Multiply()([y, gate]), 8, 1, "project")])
    return keras.Model(i, kl.Dense(4, activation="softmax", name="classes")(kl.GlobalAveragePooling2D()(x)))


def u_net() -> Any:
    import keras
    from keras import layers as kl

    i = keras.Input((8, 8, 1))
    outer = kl.Conv2D(8, 3, padding="same", activation="relu", name="outer")(i)
    x = kl.Conv2D(8, 3, padding="same", name="inner")(kl.MaxPooling2D()(outer))
    x = kl.PReLU(shared_axes=[1, 2], alpha_initializer="random_normal", name="slopes")(x)
    x = kl.Conv2DTranspose(8, 3, strides=2, padding="same", activation="relu", name="up")(x)
    x = kl.LeakyReLU()(kl.Conv2D(8, 3, padding="same", name="last")(kl.Concatenate()([x, outer])))
    return keras.Model(i, kl.Conv2D(1, 1, activation="sigmoid", name="mask")(x))


MODELS: dict[str, tuple[Callable[[], Any], set[str]]] = {
    "mobilenet_v3_block": (mobilenet_v3_block, {"HARD_SWISH", "MUL", "MEAN", "DEPTHWISE_CONV_2D"}),
    "u_net": (u_net, {"TRANSPOSE_CONV", "PRELU", "LEAKY_RELU", "CONCATENATION", "LOGISTIC"}),
}


@pytest.mark.parametrize("name", MODELS)
def test_pruned_and_trained_for_int8_to_the_board(name: str, tmp_path: Path, keras: Any) -> None:
    require_tool("tensorflow")
    from tinyml_sdk.compress.filters.pruning import prune_filters
    from tinyml_sdk.compress.qat import quantize_aware
    from tinyml_sdk.graph import read_graph

    make, operators = MODELS[name]
    model = make()
    data = np.random.default_rng(2).standard_normal((32, *model.input_shape[1:])).astype(np.float32)
    wanted = np.full((32, *model.output_shape[1:]), 0.25, np.float32)

    def train(model: Any) -> None:
        model.compile("adam", "mse")
        model.fit(data, wanted, batch_size=32, verbose=0)

    pruned = prune_filters(model, ratio=0.5)
    assert [locked.layer for locked in pruned.locked] == [model.layers[-1].name]  # the output alone
    assert all(group.after == group.before // 2 for group in pruned.groups)
    train(pruned.model)
    baked = quantize_aware(pruned.model, train, calibration=[data])
    result = quantize_model(baked, data[:16])
    assert result.ranges.trained == sum(type(layer).__name__ == "ActivationRange" for layer in baked.layers)
    file = tmp_path / f"{name}.tflite"
    file.write_bytes(result.content)
    assert operators <= {op.name for op in read_graph(file).ops}
    measured = benchmark(file, board="mps2-an386")
    assert measured.check.bit_exact
    assert measured.check.inputs >= 8
