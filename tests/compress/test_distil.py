"""Distillation: the whole loss against its definition, and students that real training really trains."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from support.distances import divergence, sigmoid, softmax

from tinyml_sdk.compress.distil.distillation import Distillation, FeatureMatch
from tinyml_sdk.compress.distil.graph import output_pair
from tinyml_sdk.errors import InputError

RNG = np.random.default_rng(11)


def image_model(keras: Any, name: str, *, channels: int = 4, stride: int = 1, last: str | None = "softmax") -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(channels, 3, strides=stride, padding="same", activation="relu", name="conv"),
            layers.BatchNormalization(name="norm"),
            layers.Dropout(0.1),
            layers.GlobalAveragePooling2D(name="pool"),
            layers.Dense(3, activation=last, name="scores"),
        ],
        name=name,
    )


def images(count: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Three classes: stripes one way, stripes the other way, and neither."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 3, count)
    values = rng.standard_normal((count, 8, 8, 1)).astype(np.float32) * 0.3
    for value, label in zip(values, labels, strict=True):
        if label:
            value.swapaxes(0, label - 1)[::2] += 1
    return values, labels


def weights(model: Any) -> list[np.ndarray]:
    return [np.array(weight) for weight in model.get_weights()]


def same(before: list[np.ndarray], after: list[np.ndarray]) -> bool:
    return all(np.array_equal(*pair) for pair in zip(before, after, strict=True))


# -- the whole loss -------------------------------------------------------------------------------------------------


def loss_of_first_batch(trainer: Any, inputs: np.ndarray, labels: np.ndarray | None, **more: Any) -> float:
    """What training sees before its first step; the learning rate is 0."""
    history = trainer.fit(inputs, labels, batch_size=len(inputs), epochs=1, verbose=0, shuffle=False, **more)
    return float(history.history["loss"][0])


def plain_model(keras: Any, name: str, last: str | None, units: int = 3, **more: Any) -> Any:
    """Without dropout and batch norm, so that training and inference give the same."""
    return keras.Sequential(
        [
            keras.Input((6, 2)),
            keras.layers.Conv1D(5, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(units, activation=last, name="scores", **more),
        ],
        name=name,
    )


@pytest.mark.slow
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_loss_is_the_sum_that_the_docs_say(keras: Any, alpha: float) -> None:
    """alpha · crossentropy + (1 - alpha) · soft labels + weighted features + the regulariser, once."""
    teacher = plain_model(keras, "teacher", "softmax")
    student = plain_model(keras, "student", "softmax", kernel_regularizer=keras.regularizers.L2(0.1))
    match = FeatureMatch("conv", "conv", 0.7)
    distillation = Distillation(teacher, temperature=3.0, alpha=alpha, features=(match,), attention=(match,))
    trainer = distillation.wrap(student)
    trainer.compile(keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")
    inputs, labels = RNG.standard_normal((16, 6, 2)).astype(np.float32), RNG.integers(0, 3, 16)

    taught, learnt = teacher.predict(inputs, verbose=0), student.predict(inputs, verbose=0)
    hard = -np.log(learnt[np.arange(16), labels]).mean()
    soft = 9 * divergence(softmax(np.log(taught) / 3), softmax(np.log(learnt) / 3)).mean()
    wanted, got = (
        keras.Model(model.inputs, model.get_layer("conv").output).predict(inputs, verbose=0)
        for model in (teacher, student)
    )
    features = ((wanted - got) ** 2).mean()
    maps = [(tensor**2).sum(-1) for tensor in (wanted, got)]
    unit = [energy / np.linalg.norm(energy, axis=1, keepdims=True) for energy in maps]
    attention = ((unit[0] - unit[1]) ** 2).sum(1).mean()
    regulariser = 0.1 * (student.get_layer("scores").kernel.numpy() ** 2).sum()

    expected = alpha * hard + (1 - alpha) * soft + 0.7 * features + 0.7 * attention + regulariser
    assert loss_of_first_batch(trainer, inputs, labels) == pytest.approx(expected, rel=1e-4)
    assert trainer.evaluate(inputs, labels, verbose=0) == pytest.approx(hard + regulariser, rel=1e-4)


@pytest.mark.slow
def test_sample_weights_weigh_the_teacher_too(keras: Any) -> None:
    teacher, student = (plain_model(keras, name, "softmax") for name in ("teacher", "student"))
    trainer = Distillation(teacher, temperature=1.0, alpha=0.5).wrap(student)
    trainer.compile(keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")
    inputs, labels = RNG.standard_normal((4, 6, 2)).astype(np.float32), np.array([0, 1, 2, 0])
    weight = np.array([1.0, 0.0, 2.0, 0.5])
    taught, learnt = teacher.predict(inputs, verbose=0), student.predict(inputs, verbose=0)
    each = 0.5 * -np.log(learnt[np.arange(4), labels]) + 0.5 * divergence(taught, learnt)
    got = loss_of_first_batch(trainer, inputs, labels, sample_weight=weight)
    assert got == pytest.approx((each * weight).mean(), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("last", "units", "loss", "meaning"),
    [
        ("sigmoid", 1, "binary_crossentropy", "sigmoid"),
        ("sigmoid", 3, "binary_crossentropy", "sigmoid"),
        (None, 1, "mse", "values"),
        (None, 3, "sparse_categorical_crossentropy_from_logits", "softmax"),
        (None, 1, "binary_crossentropy_from_logits", "sigmoid"),
    ],
)
def test_what_outputs_mean(keras: Any, last: str | None, units: int, loss: str, meaning: str) -> None:
    teacher, student = (plain_model(keras, name, last, units) for name in ("teacher", "student"))
    trainer = Distillation(teacher, temperature=2.0, alpha=0.0).wrap(student)
    if loss.endswith("_from_logits"):
        name = "".join(part.capitalize() for part in loss.removesuffix("_from_logits").split("_"))
        trainer.compile(keras.optimizers.SGD(0.0), loss=getattr(keras.losses, name)(from_logits=True))
    else:
        trainer.compile(keras.optimizers.SGD(0.0), loss=loss)
    inputs = RNG.standard_normal((8, 6, 2)).astype(np.float32)
    labels = np.zeros(8) if "sparse" in loss else np.zeros((8, units))
    taught, learnt = teacher.predict(inputs, verbose=0), student.predict(inputs, verbose=0)
    if meaning == "values":
        expected = ((taught - learnt) ** 2).mean()
    elif meaning == "softmax":
        expected = 4 * divergence(softmax(taught / 2), softmax(learnt / 2)).mean()
    else:
        logits = [np.log(p / (1 - p)) if last else p for p in (taught, learnt)]
        wanted, got = (sigmoid(value / 2) for value in logits)
        expected = 4 * divergence(np.stack([wanted, 1 - wanted], -1), np.stack([got, 1 - got], -1)).mean()
    assert loss_of_first_batch(trainer, inputs, labels) == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_several_weights_of_a_sample_are_averaged(keras: Any) -> None:
    def build(name: str) -> Any:
        scores = keras.layers.TimeDistributed(keras.layers.Dense(3, activation="softmax"))
        return keras.Sequential([keras.Input((4, 2)), scores], name=name)

    teacher, student = build("teacher"), build("student")
    trainer = Distillation(teacher, temperature=1.0, alpha=0.0).wrap(student)
    trainer.compile(keras.optimizers.SGD(0.0), loss="sparse_categorical_crossentropy")
    inputs, weight = RNG.standard_normal((5, 4, 2)).astype(np.float32), RNG.random((5, 4)).astype(np.float32)
    each = divergence(teacher.predict(inputs, verbose=0), student.predict(inputs, verbose=0)).mean(axis=1)
    got = loss_of_first_batch(trainer, inputs, np.zeros((5, 4)), sample_weight=weight)
    assert got == pytest.approx((each * weight.mean(axis=1)).mean(), rel=1e-4)


@pytest.mark.slow
def test_the_last_activation_is_found_wherever_it_is(keras: Any) -> None:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((6,)), layers.Dense(3, activation="sigmoid")])

    def form(*last: Any) -> str:
        outputs = keras.Input((6,))
        for layer in last:
            outputs = layer(outputs)
        return output_pair(outputs, outputs).student

    assert form(layers.Dense(3, activation="softmax"), layers.Dropout(0.1), layers.Reshape((3, 1))) == "softmax"
    assert form(layers.Dense(3), layers.Softmax(), layers.Identity()) == "softmax"
    assert form(layers.Dense(3), layers.Activation("sigmoid")) == "sigmoid"
    assert form(layers.Dense(3), keras.ops.sigmoid) == "sigmoid"
    assert form(inner) == "sigmoid"
    assert form(layers.Dense(3, activation="softmax"), layers.Dense(3)) == "linear"
    assert form(layers.Softmax(), layers.ReLU()) == "linear"
    assert form(layers.Dense(3, activation="softmax"), layers.Activation("tanh")) == "linear"
    with pytest.raises(InputError, match="softmax is over axis 1"):
        form(layers.Reshape((2, 3)), layers.Softmax(axis=1))


@pytest.mark.slow
@pytest.mark.parametrize("last", ["softmax", "sigmoid"])
def test_a_student_in_quantization_aware_training(keras: Any, last: str) -> None:
    """Its last activation is behind a layer that rounds; its layers have the names of the model it was made from."""
    from tinyml_sdk.compress.qat import bake, prepare

    inputs = RNG.standard_normal((32, 6, 2)).astype(np.float32)
    teacher, model = plain_model(keras, "teacher", last), plain_model(keras, "model", last)
    student = prepare(model, calibration=[inputs])
    for tensor in (student.outputs[0], bake(student).outputs[0]):
        pair = output_pair(teacher.outputs[0], tensor)
        assert (pair.meaning, pair.teacher, pair.student) == (last, last, last)

    trainer = Distillation(teacher, temperature=2.0, alpha=0.0, features=(FeatureMatch("conv", "conv"),)).wrap(student)
    trainer.compile(keras.optimizers.Adam(0.01))
    before = weights(teacher)
    history = trainer.fit(inputs, epochs=25, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]
    assert same(before, weights(teacher))
    errors = [
        np.abs(m.predict(inputs, verbose=0) - teacher.predict(inputs, verbose=0)).mean() for m in (model, student)
    ]
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.slow
def test_without_labels(keras: Any) -> None:
    teacher, student = (plain_model(keras, name, "softmax") for name in ("teacher", "student"))
    with pytest.raises(InputError, match="without a loss for the labels"):
        Distillation(teacher, alpha=0.5).wrap(student).compile("adam")
    trainer = Distillation(teacher, alpha=0.0).wrap(student)
    trainer.compile(keras.optimizers.Adam(0.01))
    history = trainer.fit(RNG.standard_normal((64, 6, 2)).astype(np.float32), epochs=8, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


@pytest.mark.slow
def test_several_inputs_and_outputs_by_name(keras: Any) -> None:
    """The teacher's inputs in another order; the data as a dictionary; two heads, one softmax and one of numbers."""

    def build(name: str, order: tuple[str, str]) -> Any:
        inputs = {key: keras.Input((4,), name=key) for key in order}
        joined = keras.layers.Concatenate()([inputs["a"], keras.layers.Dense(3)(inputs["b"])])
        heads = {
            "kind": keras.layers.Dense(3, activation="softmax", name="kind")(joined),
            "size": keras.layers.Dense(1, name="size")(joined),
        }
        return keras.Model(inputs, heads, name=name)

    teacher, student = build("teacher", ("b", "a")), build("student", ("a", "b"))
    trainer = Distillation(teacher, temperature=1.0, alpha=0.0).wrap(student)
    trainer.compile(keras.optimizers.SGD(0.0), loss={"kind": "sparse_categorical_crossentropy", "size": "mse"})
    data = {key: RNG.standard_normal((8, 4)).astype(np.float32) for key in "ab"}
    taught, learnt = teacher.predict(data, verbose=0), student.predict(data, verbose=0)
    expected = divergence(taught["kind"], learnt["kind"]).mean() + ((taught["size"] - learnt["size"]) ** 2).mean()
    got = loss_of_first_batch(trainer, data, {"kind": np.zeros(8), "size": np.zeros((8, 1))})
    assert got == pytest.approx(expected, rel=1e-4)


# -- training -------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_student_learns_in_place_and_the_teacher_never_changes(keras: Any, tmp_path: Any) -> None:
    """A real case: all terms, adapters, other sizes, a constraint, tf.data and early stopping at once."""
    import tensorflow as tf

    inputs, labels = images()
    teacher = image_model(keras, "teacher", channels=8)
    teacher.compile(keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy")
    teacher.fit(inputs, labels, epochs=30, verbose=0)
    student = image_model(keras, "student", channels=4, stride=2)
    kernel = student.get_layer("conv").kernel
    mask = np.ones(kernel.shape, np.float32)
    mask[0] = 0
    kernel.assign(kernel * mask)
    kernel.constraint = lambda values: values * mask

    before_teacher, before_student = weights(teacher), weights(student)
    match = FeatureMatch("norm", "norm", 0.1)
    trainer = Distillation(teacher, alpha=0.3, features=(match,), attention=(match,)).wrap(student)
    trainer.compile(keras.optimizers.Adam(0.02), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    batches = tf.data.Dataset.from_tensor_slices((inputs, labels)).batch(32)
    stopping = keras.callbacks.EarlyStopping("val_loss", patience=5, restore_best_weights=True)
    history = trainer.fit(batches, validation_data=batches, epochs=15, callbacks=[stopping], verbose=0).history

    assert history["loss"][-1] < 0.75 * history["loss"][0]
    assert history["accuracy"][-1] > history["accuracy"][0]
    assert same(before_teacher, weights(teacher))
    assert all(not np.array_equal(*pair) for pair in zip(before_student, weights(student), strict=True))
    assert np.array_equal(kernel.numpy() != 0, mask != 0)
    assert np.array_equal(trainer.predict(inputs, verbose=0), student.predict(inputs, verbose=0))

    student.save(tmp_path / "student.keras")
    again = keras.models.load_model(tmp_path / "student.keras")
    assert [layer.name for layer in again.layers] == [layer.name for layer in student.layers]
    assert np.allclose(again.predict(inputs, verbose=0), student.predict(inputs, verbose=0), atol=1e-6)


@pytest.mark.slow
def test_adapters_are_trained_and_are_not_the_students(keras: Any) -> None:
    teacher, student = image_model(keras, "teacher", channels=8), image_model(keras, "student", channels=4)
    count = student.count_params()
    trainer = Distillation(teacher, features=(FeatureMatch("conv", "conv"), FeatureMatch("pool", "pool"))).wrap(student)
    own = {id(variable) for variable in student.trainable_variables}
    adapters = [variable for variable in trainer.trainable_variables if id(variable) not in own]
    assert sorted(tuple(variable.shape) for variable in adapters) == [(4, 8), (4, 8), (8,), (8,)]
    before = [variable.numpy() for variable in adapters]
    trainer.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy")
    trainer.fit(*images(32), verbose=0)
    assert not any(np.array_equal(old, new.numpy()) for old, new in zip(before, adapters, strict=True))
    assert student.count_params() == count
    assert len(trainer.trainable_variables) == len(student.trainable_variables) + 4


@pytest.mark.slow
def test_metrics_are_the_students(keras: Any) -> None:
    inputs, labels = images()
    teacher, student = image_model(keras, "teacher"), image_model(keras, "student")
    trainer = Distillation(teacher, alpha=0.0).wrap(student)
    trainer.compile(keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    trainer.fit(inputs, labels, verbose=0)
    right = student.predict(inputs, verbose=0).argmax(1) == labels
    assert trainer.evaluate(inputs, labels, verbose=0, return_dict=True)["accuracy"] == pytest.approx(right.mean())


@pytest.mark.slow
def test_a_layer_that_was_used_in_another_model_first(keras: Any) -> None:
    """`layer.output` would be the other model's tensor."""
    conv = keras.layers.Conv1D(5, 3, name="conv")
    keras.Sequential([keras.Input((9, 2)), conv])
    inputs = keras.Input((6, 2))
    outputs = keras.layers.Dense(3)(keras.layers.Flatten()(conv(inputs)))
    student = keras.Model(inputs, outputs, name="student")
    teacher = plain_model(keras, "teacher", None)
    trainer = Distillation(teacher, features=(FeatureMatch("conv", "conv"),)).wrap(student)
    trainer.compile("sgd", loss="mse")
    trainer.fit(np.zeros((4, 6, 2)), np.zeros((4, 3)), verbose=0)


# -- what cannot be -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperature_is_above_zero(temperature: float) -> None:
    with pytest.raises(InputError, match="temperature") as caught:
        Distillation(None, temperature=temperature)
    assert caught.value.hint


@pytest.mark.parametrize("alpha", [-0.1, 1.1, float("nan")])
def test_alpha_is_a_share(alpha: float) -> None:
    with pytest.raises(InputError, match="alpha"):
        Distillation(None, alpha=alpha)


def test_other_options() -> None:
    with pytest.raises(InputError, match="no functional or sequential Keras model"):
        Distillation("teacher.keras")
    with pytest.raises(InputError, match="'logits' is no meaning"):
        Distillation(None, outputs="logits")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="weight of -1"):
        FeatureMatch("a", "b", -1.0)


@pytest.mark.slow
def test_models_that_do_not_go_together(keras: Any) -> None:
    teacher, student = plain_model(keras, "teacher", "softmax"), plain_model(keras, "student", "softmax")

    def refused(student: Any, message: str, hint: str = "", **options: Any) -> None:
        with pytest.raises(InputError, match=message) as caught:
            Distillation(teacher, **options).wrap(student)
        assert hint in caught.value.hint

    refused(plain_model(keras, "student", "softmax", 4), r"outputs of \(N, 3\) in the teacher, \(N, 4\) in the student")
    refused(image_model(keras, "student"), r"inputs of \(N, 6, 2\)")
    refused(plain_model(keras, "student", "sigmoid"), "the teacher ends in softmax, the student in sigmoid")
    refused(teacher, "share 4 weights", "clone_model")
    refused(student, "no layer 'cnov'", "did you mean 'conv'?", features=(FeatureMatch("cnov", "conv"),))
    refused(student, "teacher 'teacher': no layer 'score'", "'scores'", attention=(FeatureMatch("conv", "score"),))
    refused(student, r"\(N, 4, 5\) and \(N, 3\) cannot", "same number", features=(FeatureMatch("conv", "scores"),))
    refused(student, "no positions", "before the pooling", attention=(FeatureMatch("scores", "scores"),))
    refused(keras.Sequential([keras.layers.Dense(3)]), "no shapes", "keras.Input")


@pytest.mark.slow
def test_layers_inside_a_model_within_a_model(keras: Any) -> None:
    inner = plain_model(keras, "inner", "softmax")
    outer = keras.Sequential([keras.Input((6, 2)), inner], name="outer")
    with pytest.raises(InputError, match="no layer 'conv'") as caught:
        Distillation(outer, features=(FeatureMatch("conv", "conv"),)).wrap(plain_model(keras, "student", "softmax"))
    assert "inside 'inner'" in caught.value.hint


@pytest.mark.slow
def test_teacher_with_nan_weights(keras: Any) -> None:
    teacher = plain_model(keras, "teacher", "softmax")
    teacher.get_layer("conv").bias.assign(np.full(5, np.nan))
    with pytest.raises(InputError, match=r"conv/bias.* not finite"):
        Distillation(teacher)


def test_importing_it_does_not_import_tensorflow() -> None:
    module = "tinyml_sdk.compress.distil.distillation"
    code = f"import sys, {module}; sys.exit('keras' in sys.modules or 'tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
