"""Runs in the worker: LSTM layers, from Keras 3 to the converter's fused operator.

The converter crashes on the loop that Keras 3 makes of an LSTM. It knows the function that tf-keras (Keras 2) makes of
one, and turns it into a single operator; so each layer is called by way of a twin in tf-keras that has its weights.

Calibration then needs help. The converter runs the samples one after the other without resetting the states, as if they
were one sequence, and looks at the cell states only at the end of each; here both are measured again.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import InputError, MissingToolError, ToolError
from ..graph import ABSENT, Graph, OptionValue
from .checking import SAME_SCALE

__all__ = ["LstmTensors", "cell_range", "check_recurrent", "find_lstms", "use_twins"]

Array = npt.NDArray[Any]

HINT = "use LSTM layers with Keras's defaults, or Conv1D layers over time: both convert to int8"

_TOLERANCE = 1e-5  # of outputs, which lie between -1 and 1
_GATES = 4  # input, forget, cell and output gate, in Keras and in the operator


# -- from Keras to tf-keras ---------------------------------------------------------------------------------------


def check_recurrent(layers: Iterable[Any], name: str) -> None:
    """Check that every recurrent layer is an LSTM that the fused operator can compute.

    Args:
        layers: All layers of a Keras model, those inside others and inside wrappers included.
        name: What errors call the model.

    Raises:
        InputError: names the layer and what it has that the operator has not.
        MissingToolError: there are LSTM layers, and tf-keras is not installed.
    """
    import keras

    layers = list(layers)
    recurrent = [layer for layer in layers if _is_recurrent(layer)]
    masking = next((layer for layer in layers if isinstance(layer, keras.layers.Masking)), None)
    if recurrent and masking is not None:
        raise InputError(
            "masks steps, which the LSTM operator does not",
            where=f"{name}: layer {masking.name!r}",
            hint="pad the sequences with zeros and train without a mask",
        )
    for layer in recurrent:
        problem = _problem(layer)
        if problem:
            raise InputError(problem, where=f"{name}: layer {layer.name!r}", hint=HINT)
    if recurrent and importlib.util.find_spec("tf_keras") is None:
        raise MissingToolError(
            "LSTM layers are converted by the tf-keras package, which is not installed",
            where=f"{name}: layer {recurrent[0].name!r}",
            hint='pip install "tinyml-sdk[rnn]"',
        )


def _is_recurrent(layer: Any) -> bool:
    """Whether a layer is a recurrent one, or a wrapper around one."""
    import keras

    kinds = (keras.layers.RNN, keras.layers.Bidirectional)
    return isinstance(layer, kinds) or isinstance(getattr(layer, "layer", None), kinds)


def _problem(layer: Any) -> str:
    """What keeps a recurrent layer from being converted, or ""."""
    import keras

    kind = type(layer).__name__
    if not isinstance(layer, keras.layers.LSTM):
        return f"is a recurrent layer ({kind}), which TensorFlow's converter breaks in int8"
    for option, wanted in (("activation", "tanh"), ("recurrent_activation", "sigmoid")):
        function = getattr(getattr(layer, option), "__name__", "a function of your own")
        if function != wanted:
            return f"has {option}={function!r}; the operator's is {wanted}"
    for option in ("go_backwards", "stateful", "return_state"):
        if getattr(layer, option):
            return f"has {option}=True, which the operator has not"
    if any(len(node.arguments.keras_tensors) > 1 for node in layer._inbound_nodes):
        return "is given an initial state, which the operator cannot take"
    return ""


def use_twins(layers: Iterable[Any], called: list[str]) -> bool:
    """Have the LSTM layers of a model computed by tf-keras from now on.

    Args:
        layers: All layers of a built Keras model.
        called: Gets the name of each LSTM layer when it is called.

    Returns:
        Whether there is an LSTM layer.

    Raises:
        ToolError: a twin computes something else than its layer.
    """
    import keras

    lstms = [layer for layer in layers if isinstance(layer, keras.layers.LSTM)]

    def calling(name: str, twin: Any) -> Callable[..., Any]:
        def call(sequence: Any, *_: Any, **__: Any) -> Any:
            called.append(name)
            return twin(sequence)

        return call

    for layer in lstms:
        layer.call = calling(layer.name, _twin(layer))
    return bool(lstms)


def _twin(layer: Any) -> Any:
    """The same layer in tf-keras. It is fused only with a bias, which may be zeros."""
    import tf_keras

    kernel, recurrent, *bias = (np.asarray(weight) for weight in layer.weights)
    twin = tf_keras.layers.LSTM(layer.units, return_sequences=layer.return_sequences, name=layer.name)
    twin.build((1, None, kernel.shape[0]))
    twin.set_weights([kernel, recurrent, bias[0] if bias else np.zeros(_GATES * layer.units, np.float32)])
    sequence = np.random.default_rng(0).standard_normal((4, 16, kernel.shape[0])).astype(np.float32)
    gap = float(np.max(np.abs(np.asarray(layer(sequence, training=False)) - np.asarray(twin(sequence)))))
    if not gap <= _TOLERANCE:
        raise ToolError(
            f"tf-keras computes outputs that differ by {gap:g} from Keras's",
            where=f"layer {layer.name!r}",
            hint="install the tf-keras version that goes with your TensorFlow",
        )
    return twin


# -- the calibrated file ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LstmTensors:
    """One LSTM operator of the calibrated file: its tensors' names.

    Attributes:
        state, intermediate: Hold the outputs too, so that they need the outputs' range.
        peers: The output, and all tensors that must share its range.
        made: What the Keras layer computes: the output, and its last step where that is taken.
        cell_clip: What the operator limits its cells to, if above 0. The converter writes 10, where tanh is 1.
        input_weights: Of the four gates, each (units, depth).
        output_weights: Of the four gates, each (units, units).
        biases: Of the four gates, each (units,).
    """

    input: str
    output: str
    state: str
    cell: str
    intermediate: str
    input_weights: tuple[str, ...]
    output_weights: tuple[str, ...]
    biases: tuple[str, ...]
    peers: tuple[str, ...]
    made: tuple[str, ...]
    cell_clip: float

    @property
    def hidden(self) -> tuple[str, str, str]:
        """Tensors that the float interpreter does not show, or only at the end of a sequence."""
        return self.state, self.cell, self.intermediate


def find_lstms(graph: Graph) -> list[LstmTensors]:
    """The LSTM operators of the calibrated model, in its order."""

    def names(indices: Iterable[int]) -> tuple[str, ...]:
        return tuple(graph.tensors[index].name for index in indices)

    return [
        LstmTensors(
            input=graph.tensors[op.inputs[0]].name,
            output=graph.tensors[op.outputs[0]].name,
            state=graph.tensors[op.inputs[18]].name,
            cell=graph.tensors[op.inputs[19]].name,
            intermediate=graph.tensors[op.intermediates[4]].name,
            input_weights=names(op.inputs[1:5]),
            output_weights=names(op.inputs[5:9]),
            biases=names(op.inputs[12:16]),
            peers=names(_peers(graph, op.outputs[0])),
            made=names((op.outputs[0], *_slices(graph, op.outputs[0]))),
            cell_clip=_real(op.options["cell_clip"]),
        )
        for op in graph.ops
        if op.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    ]


def _real(option: OptionValue) -> float:
    return float(option) if isinstance(option, (int, float)) else 0.0


def _slices(graph: Graph, tensor: int) -> list[int]:
    return [op.outputs[0] for op in graph.ops if op.name == "STRIDED_SLICE" and op.inputs[0] == tensor]


def _peers(graph: Graph, output: int) -> set[int]:
    """The tensors that must have the scale of an output, as operators between them pass values on as they are."""
    peers, before = {output}, 0
    while len(peers) > before:
        before = len(peers)
        for op in graph.ops:
            values = {index for index in op.inputs[:1] if index != ABSENT} | set(op.outputs)
            if op.name == "CONCATENATION":
                values |= set(op.inputs)
            if op.name in SAME_SCALE and values & peers:
                peers |= values
    return peers


def cell_range(lstm: LstmTensors, tensors: Mapping[str, Array]) -> tuple[float, float]:
    """The least and the greatest cell state over one sequence.

    Args:
        lstm: The operator.
        tensors: Its float weights and biases by name, and its input, (1, steps, depth), and output, (1, steps, units):
            with the outputs known, the gates of all steps are one product.
    """
    sequence, outputs = tensors[lstm.input][0], tensors[lstm.output][0]
    before = np.concatenate([np.zeros_like(outputs[:1]), outputs[:-1]])
    gates = [
        sequence @ tensors[input_weights].T + before @ tensors[output_weights].T + tensors[bias]
        for input_weights, output_weights, bias in zip(
            lstm.input_weights, lstm.output_weights, lstm.biases, strict=True
        )
    ]
    added = _sigmoid(gates[0]) * np.tanh(gates[2])
    kept = _sigmoid(gates[1])
    limit = lstm.cell_clip if lstm.cell_clip > 0 else np.inf
    cells = np.zeros_like(outputs)
    cell = np.zeros_like(outputs[0])
    for step in range(len(cells)):
        cell = np.clip(kept[step] * cell + added[step], -limit, limit)
        cells[step] = cell
    return float(cells.min()), float(cells.max())


def _sigmoid(values: Array) -> Array:
    result: Array = 0.5 + 0.5 * np.tanh(0.5 * values)
    return result
