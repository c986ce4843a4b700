"""Whole recipes on real data with the real TensorFlow: every stage, interruptions, and what users get wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk import benchmark, compress_model
from tinyml_sdk.compress import CompressionResult
from tinyml_sdk.compress.checkpoints import Checkpoints
from tinyml_sdk.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits"
CORPUS = Path(os.environ.get("TINYML_CORPUS", ROOT.parent / "shared" / "models")) / "keras"
TRAIN, TEST = DIGITS / "digits_train.npz", DIGITS / "digits_test.npz"

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _tensorflow() -> None:
    require_tool("tensorflow")
    require_tool("tflite_micro")


def run(recipe: dict[str, Any], **options: Any) -> CompressionResult:
    arguments = {"model": DIGITS / "digits.keras", "data": TRAIN, "validation": TEST} | options
    return compress_model(arguments.pop("model"), arguments.pop("data"), recipe, **arguments)


def costs(result: CompressionResult) -> dict[str, Any]:
    return {stage.name: stage.cost for stage in result.stages}


def small_model(**options: Any) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(16, activation="relu", name="hidden"),
            layers.Dense(3, activation="softmax", name="out"),
        ],
        **options,
    )


X = np.random.default_rng(0).standard_normal((120, 4)).astype(np.float32)
Y = X[:, :3].argmax(axis=1)


def test_the_whole_way(tmp_path: Path) -> None:
    """Filters, weights, clusters, a teacher, int8 in the loop: each does what it says, and all hold to the end."""
    recipe = {
        "seed": 3,
        "training": {"epochs": 2, "learning_rate": 2e-3},
        "stages": [
            {"stage": "prune_filters", "ratio": 0.5, "fine_tune": {"epochs": 6, "distil": {"alpha": 0.3}}},
            {"stage": "prune_weights", "sparsity": 0.5},
            {"stage": "cluster", "clusters": 16},
            {"stage": "quantize_aware"},
            {"stage": "quantize", "granularity": "per-tensor"},
        ],
    }
    result = run(recipe, output=tmp_path / "small.keras")
    after = costs(result)
    assert [*after] == ["original", "prune_filters", "prune_weights", "cluster", "quantize_aware"]
    assert after["prune_filters"].macs < 0.5 * after["original"].macs
    assert after["prune_weights"].nonzero_parameters < 0.65 * after["prune_weights"].parameters
    assert after["cluster"].nonzero_parameters <= after["prune_weights"].nonzero_parameters
    assert after["cluster"].gzip_bytes < after["prune_weights"].gzip_bytes < after["prune_filters"].gzip_bytes
    assert after["cluster"].entropy_bits < after["prune_weights"].entropy_bits < after["prune_filters"].entropy_bits
    # Training on does not undo what was pruned and shared.
    assert after["quantize_aware"].nonzero_parameters <= after["cluster"].nonzero_parameters
    assert after["quantize_aware"].entropy_bits <= after["cluster"].entropy_bits + 0.3
    final = after["quantize_aware"].accuracy
    assert final.int8 is not None
    assert final.int8 > 0.85
    assert abs(final.int8 - final.keras) < 0.02
    assert (tmp_path / "small.keras").is_file()
    facts = json.loads(result.to_json())
    assert facts["stages"][1]["details"]["groups"]
    assert facts["stages"][1]["details"]["locked"] == [{"layer": "digit", "reason": "it makes an output of the model"}]
    assert facts["stages"][0]["cost"]["accuracy"]["float"] == pytest.approx(0.9889, abs=0.001)


def test_low_rank_and_a_file_of_the_teacher(tmp_path: Path) -> None:
    recipe = {
        "training": {"epochs": 5, "learning_rate": 3e-3},
        "stages": [
            {"stage": "low_rank", "ratio": 0.6},
            {"stage": "distil", "teacher": str(DIGITS / "digits.keras"), "temperature": 2},
        ],
    }
    result = run(recipe)
    after = costs(result)
    assert after["low_rank"].macs < after["original"].macs
    assert after["distil"].macs == after["low_rank"].macs
    assert after["distil"].accuracy.int8 > 0.9


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    recipe = {
        "seed": 5,
        "deterministic": True,
        "training": {"epochs": 1},
        "stages": [{"stage": "prune_weights", "sparsity": 0.5}],
    }
    first, second = (run(recipe, output=tmp_path / f"{name}.keras") for name in "ab")
    assert first.quantized.content == second.quantized.content
    assert (tmp_path / "a.keras").read_bytes() == (tmp_path / "b.keras").read_bytes()


def test_an_interrupted_recipe_goes_on(tmp_path: Path) -> None:
    """What was finished is not done again, and the end is that of a run in one go."""
    recipe = {
        "seed": 5,
        "deterministic": True,
        "training": {"epochs": 1},
        "stages": [{"stage": "prune_filters", "ratio": 0.5}, {"stage": "fine_tune"}],
    }
    small_model().save(tmp_path / "small.keras")
    small = {"model": tmp_path / "small.keras", "data": (X, Y), "validation": (X, Y)}
    told: list[str] = []

    def interrupt(stage: str, done: int, total: int, detail: str = "") -> None:
        told.append(stage)
        if stage == "fine_tune":
            raise KeyboardInterrupt

    work = tmp_path / "work"
    with pytest.raises(KeyboardInterrupt):
        run(recipe, work=work, progress=interrupt, **small)
    assert sorted(path.name for path in work.iterdir()) == [
        "00-original.keras",
        "01-prune_filters.keras",
        "stages.json",
    ]
    told.clear()
    so_far: list[list[str]] = []
    resumed = run(
        recipe,
        work=work,
        progress=lambda stage, *_: told.append(stage),
        finished=lambda result: so_far.append([stage.name for stage in result.stages]),
        **small,
    )
    assert not any("prune_filters" in stage for stage in told)
    assert so_far == [["original", "prune_filters", "fine_tune"]]
    assert [stage.name for stage in resumed.stages] == ["original", "prune_filters", "fine_tune"]
    assert resumed.quantized.content == run(recipe, **small).quantized.content
    # Nothing left to do; another recipe keeps what it shares with this one.
    assert run(recipe, work=work, **small).quantized.content == resumed.quantized.content
    told.clear()
    changed = recipe | {"stages": [recipe["stages"][0], {"stage": "cluster", "fine_tune": None}]}  # type: ignore[index]
    run(changed, work=work, progress=lambda stage, *_: told.append(stage), **small)
    assert "cluster" in told
    assert not any("fine-tuning" in stage for stage in told)
    Checkpoints(work, ()).remove()
    assert not work.exists()


def test_tf_data_and_models_in_memory() -> None:
    import tensorflow as tf

    model = small_model(name="tiny")
    before = [array.copy() for array in model.get_weights()]
    stream = tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(120, seed=1).batch(16)
    recipe = {"training": {"epochs": 2}, "stages": [{"stage": "prune_filters", "ratio": 0.5}]}
    result = compress_model(model, stream, recipe, validation=(X, Y))
    assert result.source == "tiny"
    assert result.stages[1].training.epochs == 2
    assert result.model.get_layer("hidden").units == 8
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_a_saved_model_of_keras_2(tmp_path: Path) -> None:
    """It remembers its layers; what Keras 3 exports does not."""
    require_tool("tf_keras")
    import tf_keras

    layers = tf_keras.layers
    model = tf_keras.Sequential([tf_keras.Input((4,)), layers.Dense(8, name="hidden"), layers.Dense(3, name="out")])
    model.save(tmp_path / "saved", save_format="tf")
    recipe = {"stages": [{"stage": "prune_filters", "ratio": 0.5, "fine_tune": None}]}
    result = compress_model(tmp_path / "saved", (X, Y), recipe)
    assert result.model.get_layer("hidden").units == 4
    small_model().export(tmp_path / "exported", verbose=False)
    with pytest.raises(InputError, match="a graph without layers"):
        compress_model(tmp_path / "exported", (X, Y), recipe)


def test_an_autoencoder_by_mean_squared_error() -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((4,)), layers.Dense(8, activation="relu"), layers.Dense(4)])
    recipe = {"metric": "mse", "training": {"epochs": 5}, "stages": [{"stage": "fine_tune"}]}
    result = compress_model(model, {"inputs": X}, recipe)
    assert result.held_out
    assert result.samples == (96, 24)
    first, last = (stage.cost.accuracy for stage in result.stages)
    assert last.keras < first.keras
    assert last.metric == "mse"


def test_early_stopping_keeps_the_best() -> None:
    training = {"epochs": 40, "early_stopping": 2, "learning_rate": 0.3, "schedule": "constant"}
    recipe = {"training": training, "stages": [{"stage": "fine_tune"}]}
    result = compress_model(small_model(), (X, Y), recipe, validation=(X, Y))
    report = result.stages[1].training
    assert report.stopped_early
    assert report.epochs < 40
    assert min(report.validation_loss) == report.validation_loss[-3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": (X, Y + 1)}, "labels from 1 to 3 for a model with 3 classes"),
        ({"data": (X, Y - 0.5)}, "not class numbers"),
        ({"data": (X[:5], Y[:5])}, "5 training samples are too few"),
        ({"data": (np.where(X > 2, np.inf, X), Y)}, "NaN or infinity"),
        ({"data": (X[:, :3], Y)}, "does not fit input"),
        ({"recipe": {"stages": [{"stage": "prune_filters", "ratio": 0.5}], "metric": "acuracy"}}, "is no metric"),
        ({"recipe": {"stages": [{"stage": "fine_tune"}], "loss": "no_such_loss"}}, "is no loss"),
        ({"recipe": {"stages": [{"stage": "distil", "teacher": "nowhere.keras"}]}}, "there is no such teacher"),
        ({"recipe": {"stages": [{"stage": "low_rank", "ranks": {"hiden": 2}}]}}, "hiden"),
        ({"model": "nowhere.keras"}, "there is no such file"),
        ({"model": ROOT / "examples" / "digits" / "digits.tflite"}, "is converted already"),
        ({"model": TRAIN}, "is no Keras model"),
        ({"model": ROOT / "examples"}, "is a folder without saved_model.pb"),
    ],
)
def test_bad_input_is_one_error(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"model": None, "data": (X, Y), "recipe": {"stages": [{"stage": "fine_tune"}]}}
    arguments |= change
    model = small_model() if arguments["model"] is None else arguments["model"]
    with pytest.raises(InputError) as caught:
        compress_model(model, arguments["data"], arguments["recipe"], validation=arguments["data"])
    assert message in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(("name", "shape", "classes"), [("ic", (32, 32, 3), 10), ("vww", (96, 96, 3), 2)])
def test_published_keras_2_files_by_half(tmp_path: Path, name: str, shape: tuple[int, ...], classes: int) -> None:
    """Loaded, pruned, quantized on noise, and on the board every byte is right."""
    path = CORPUS / f"mlperf_tiny_{name}.h5"
    if not path.exists():
        pytest.skip(f"no corpus at {CORPUS}")
    require_tool("unicorn")
    require_tool("ziglang")
    rng = np.random.default_rng(0)
    noise = rng.random((40, *shape), np.float32), rng.integers(0, classes, 40)
    recipe = {
        "stages": [{"stage": "prune_filters", "ratio": 0.5, "fine_tune": None}, {"stage": "quantize", "samples": 12}]
    }
    result = compress_model(path, noise, recipe, validation=noise)
    first, last = (stage.cost for stage in result.stages)
    assert last.parameters < 0.3 * first.parameters
    (tmp_path / "half.tflite").write_bytes(result.quantized.content)
    assert benchmark(tmp_path / "half.tflite", board="mps2-an386").check.bit_exact


def test_models_that_cannot_be_followed_are_refused_before_training() -> None:
    import keras
    from keras import layers

    class Own(keras.Model):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            return inputs

    recurrent = keras.Sequential([keras.Input((4, 1)), layers.GRU(3, name="memory")])
    broken = small_model()
    broken.layers[0].set_weights([np.full((4, 16), np.nan), np.zeros(16)])
    for model, message in ((Own(), "subclassed"), (recurrent, "GRU"), (broken, "NaN")):
        with pytest.raises(InputError, match=message):
            compress_model(model, (X, Y), {"stages": [{"stage": "fine_tune"}]})


def test_a_training_that_diverges_is_told() -> None:
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="out")])
    model.layers[0].set_weights([np.full((4, 3), 3e19), np.zeros(3)])  # its square is more than float32 holds
    with pytest.raises(InputError, match="the loss is inf in epoch 1: training diverged"):
        compress_model(model, (X, X[:, :3].astype(np.float64)), {"metric": "mse", "stages": [{"stage": "fine_tune"}]})


def test_what_cannot_be_trained_for_int8_is_told_before_any_stage() -> None:
    """The converter has a ReLU up to 3; what is told is told before the training in front of the stage."""
    import keras
    from keras import layers

    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), layers.ReLU(3.0, name="cut")], name="model")
    recipe = {"metric": "mse", "stages": [{"stage": "fine_tune"}, {"stage": "quantize_aware"}]}
    with pytest.raises(InputError, match=r"^stage 2, quantize_aware: model: layer 'cut': \(ReLU\) cannot be trained"):
        compress_model(model, (X, X[:, :3]), recipe)
