"""LSTM layers from Keras to the fused int8 operator, and every other recurrent layer refused by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.single_op import assert_equals_tflm
from support.tools import require_tool

from tinyml_sdk import quantize_model
from tinyml_sdk.bench.tflm_reference import TflmReference
from tinyml_sdk.errors import InputError
from tinyml_sdk.graph import DType, Graph, parse_graph
from tinyml_sdk.quantize.recurrent import LstmTensors, cell_range

ROOT = Path(__file__).resolve().parents[2]

MODELS = """
import keras
from keras import layers as L
keras.utils.set_random_seed(3)
def save(name, *layers): keras.Sequential([keras.Input((16, 3)), *layers], name=name).save(name + ".keras")
save("stack", L.Conv1D(8, 3, padding="same", activation="relu"), L.LSTM(8, return_sequences=True, name="first"),
     L.LSTM(6, name="second", use_bias=False, dropout=0.1, recurrent_dropout=0.1), L.Dense(3, name="end"))
z, a = keras.Input((12, 3), name="zeta"), keras.Input((9, 4), name="alpha")
both = L.Concatenate()([L.LSTM(5, name="left")(z), L.LSTM(7, name="right")(a)])
keras.Model([z, a], L.Dense(4, activation="tanh", name="end")(both)).save("two.keras")
save("gru", L.GRU(4, name="bad")); save("simple", L.SimpleRNN(4, name="bad"))
save("both", L.Bidirectional(L.LSTM(4), name="bad")); save("cell", L.RNN(L.LSTMCell(4), name="bad"))
save("relu", L.LSTM(4, activation="relu", name="bad"))
save("hard", L.LSTM(4, recurrent_activation="hard_sigmoid", name="bad"))
save("backwards", L.LSTM(4, go_backwards=True, name="bad"))
save("masked", L.Masking(name="bad"), L.LSTM(4))
x = keras.Input((16, 3))
first, hidden, cell = L.LSTM(4, return_state=True, return_sequences=True, name="bad")(x)
keras.Model(x, hidden).save("state.keras")
start = L.Dense(4)(L.Flatten()(x))
keras.Model(x, L.LSTM(4, name="bad")(x, initial_state=[start, start])).save("initial.keras")
x = keras.Input((16, 3), batch_size=1)
keras.Model(x, L.LSTM(4, stateful=True, name="bad")(x)).save("stateful.keras")
"""


def samples(count: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(5).standard_normal((count, *shape)).astype(np.float32)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models, made in a process of its own: TensorFlow stays out of this one."""
    require_tool("tensorflow")
    require_tool("tf_keras")
    folder = tmp_path_factory.mktemp("models")
    run(MODELS, folder)
    return folder


def run(code: str, folder: Path) -> str:
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def lstm_ops(graph: Graph) -> list[str]:
    return [op.name for op in graph.ops if op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["minmax", "percentile", "mse"])
def test_layers_on_top_of_each_other(models: Path, method: str) -> None:
    result = quantize_model(models / "stack.keras", samples(40, 16, 3), method=method)  # type: ignore[arg-type]
    graph = parse_graph(result.content)
    assert len(lstm_ops(graph)) == 2
    dtypes = [tensor.dtype for tensor in graph.tensors if tensor.index in graph.variables]
    assert sorted(dtypes) == [DType.INT16, DType.INT16, DType.INT8, DType.INT8]
    if TflmReference.available():
        assert {layer.name for layer in result.layers} == {"conv1d", "first", "second", "end"}
        assert all(layer.snr_db > 25 for layer in result.layers)
        assert_equals_tflm(result.content)


@pytest.mark.slow
def test_layers_beside_each_other_share_the_scale_of_their_concatenation(models: Path) -> None:
    """Inputs keep their order too, though the converter sorts them by name on the way."""
    result = quantize_model(models / "two.keras", {"zeta": samples(40, 12, 3), "alpha": samples(40, 9, 4)})
    graph = parse_graph(result.content)
    assert [tensor.shape for tensor in graph.input_tensors] == [(1, 12, 3), (1, 9, 4)]
    if TflmReference.available():
        assert {"left", "right", "end"} <= {layer.name for layer in result.layers}
        assert all(layer.snr_db > 25 for layer in result.layers)
        assert_equals_tflm(result.content)


@pytest.mark.slow
def test_states_of_one_sample_do_not_reach_the_next(models: Path) -> None:
    """Min-max ranges do not depend on the order of independent samples."""
    data = samples(20, 16, 3)
    forwards, backwards = (quantize_model(models / "stack.keras", order) for order in (data, data[::-1]))
    assert forwards.content == backwards.content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gru", r"is a recurrent layer \(GRU\)"),
        ("simple", r"is a recurrent layer \(SimpleRNN\)"),
        ("both", r"is a recurrent layer \(Bidirectional\)"),
        ("cell", r"is a recurrent layer \(RNN\)"),
        ("relu", "has activation='relu'"),
        ("hard", "has recurrent_activation='hard_sigmoid'"),
        ("backwards", "has go_backwards=True"),
        ("stateful", "has stateful=True"),
        ("state", "has return_state=True"),
        ("initial", "is given an initial state"),
        ("masked", "masks steps"),
    ],
)
def test_what_the_operator_has_not_is_refused(models: Path, name: str, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        quantize_model(models / f"{name}.keras", samples(20, 16, 3))
    assert caught.value.where == f"{name}.keras: layer 'bad'"
    assert caught.value.hint


@pytest.mark.slow
def test_without_tf_keras(models: Path) -> None:
    said = run(
        """
import sys, keras
sys.modules["tf_keras"] = None
from pathlib import Path
from tinyml_sdk.errors import MissingToolError
from tinyml_sdk.quantize.loading import load_model
try:
    load_model(Path("stack.keras"), "stack.keras")
except MissingToolError as error:
    print(error.where, "|", error.hint)
""",
        models,
    )
    assert said.strip() == "stack.keras: layer 'first' | pip install \"tinyml-sdk[rnn]\""


@pytest.mark.parametrize("clip", [0.0, 0.3])
def test_cell_range(clip: float) -> None:
    """Against the recurrence as textbooks have it."""
    rng = np.random.default_rng(1)
    steps, depth, units = 12, 3, 4
    gates = ("i", "f", "g", "o")
    tensors = {f"w{gate}": rng.normal(0, 1, (units, depth)) for gate in gates}
    tensors |= {f"r{gate}": rng.normal(0, 1, (units, units)) for gate in gates}
    tensors |= {f"b{gate}": rng.normal(0, 1, units) for gate in gates}
    sequence = rng.normal(0, 1, (1, steps, depth))
    hidden, cell, outputs, cells = np.zeros(units), np.zeros(units), [], []
    for x in sequence[0]:
        i, f, g, o = (tensors[f"w{k}"] @ x + tensors[f"r{k}"] @ hidden + tensors[f"b{k}"] for k in gates)
        cell = cell / (1 + np.exp(-f)) + np.tanh(g) / (1 + np.exp(-i))
        cell = np.clip(cell, -clip, clip) if clip else cell
        hidden = np.tanh(cell) / (1 + np.exp(-o))
        outputs.append(hidden)
        cells.append(cell)
    tensors |= {"x": sequence, "y": np.array([outputs])}
    lstm = LstmTensors(
        input="x",
        output="y",
        state="",
        cell="",
        intermediate="",
        input_weights=("wi", "wf", "wg", "wo"),
        output_weights=("ri", "rf", "rg", "ro"),
        biases=("bi", "bf", "bg", "bo"),
        peers=("y",),
        made=("y",),
        cell_clip=clip,
    )
    assert cell_range(lstm, tensors) == pytest.approx((np.min(cells), np.max(cells)))
