"""UNIDIRECTIONAL_SEQUENCE_LSTM: a layer of long short-term memory over a sequence, all its gates in one operator.

Semantics: tensorflow/lite/micro/kernels/unidirectional_sequence_lstm.cc, lstm_eval.h and lstm_eval_common.cc. The
states are variables: TFLM keeps them from one Invoke to the next, and so does the kernel, until `NAME_init`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..graph import DType, Tensor
from .arithmetic import quantize_multiplier
from .base import Constant, Input, Layer, Operator, OpView, Output, Parameters, ParameterValue, Scratch, State
from .dsp.matrix import DSP, mixed_stream, padded_order, padded_to_words
from .selection import Candidate, choose_kernel

__all__ = ["UnidirectionalSequenceLstm"]

Int64 = npt.NDArray[np.int64]

_INPUTS = 24
_GATES = ("input_gate", "forget_gate", "cell_gate", "output_gate")  # in the order of the operator's inputs
_FIRST_INPUT_WEIGHTS, _FIRST_OUTPUT_WEIGHTS, _FIRST_BIAS = 1, 5, 12
_OUTPUT_STATE, _CELL_STATE = 18, 19
_VARIANTS = {
    "peephole connections": (9, 10, 11),
    "a projection": (16, 17),
    "layer normalization": (20, 21, 22, 23),
}

_GATE_SCALE = 2.0**-12
"""Of what goes into a gate's function: TFLM's choice, whatever the file says of intermediates."""
_ONE = 2.0**-15
"""The scale of what comes out of it."""
_CELL_EXPONENTS = (-27, 2)
"""Of the cell state's scale. Beyond them TFLM's shifts are undefined."""


class UnidirectionalSequenceLstm(Operator):
    """Inputs: int8 (batches, steps, depth), or (steps, batches, depth) if time_major; int8 weights, one scale each,
    (units, depth) and (units, units) for each gate; int32 biases (units,); int8 output state and int16 cell state,
    variables (batches, units). Output: int8 as the first input, with units instead of depth.
    """

    name = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    versions = (1, 4)
    resolver = "AddUnidirectionalSequenceLSTM"

    def lower(self, view: OpView) -> Layer:
        """A plain LSTM: TFLM too has none with peepholes, projection or layer normalization."""
        view.expect_counts(_INPUTS)
        for variant, places in _VARIANTS.items():
            for place in places:
                if view.optional_input(place) is not None:
                    raise view.fail(f"input {place}", f"is there, but an LSTM with {variant} is not supported")
        if view.op.options["diagonal_recurrent_tensors"]:
            raise view.fail("diagonal_recurrent_tensors", "is not supported")
        if view.op.options["fused_activation_function"] != "TANH":
            raise view.fail("fused_activation_function", f"is {view.op.options['fused_activation_function']}, not TANH")
        shape = _shape(view)
        from_input = _product(view, shape, view.activation(0), _FIRST_INPUT_WEIGHTS, shape.depth, biases=True)
        state = _output_state(view, shape)
        from_output = _product(view, shape, state, _FIRST_OUTPUT_WEIGHTS, shape.units, biases=False)
        lstm = _parameters(view, shape, from_input, from_output, state)
        candidates = [_portable(view, shape, from_input, from_output, lstm)]
        dsp = _dsp(view, shape, from_input, from_output, lstm)
        return choose_kernel(view, candidates if dsp is None else [*candidates, dsp])


# -- what the file says -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Shape:
    """Sizes of the layer. A row is one step of one batch; rows lie in the order of steps if `time_major`."""

    batches: int
    steps: int
    depth: int
    units: int
    time_major: bool

    @property
    def rows(self) -> int:
        return self.batches * self.steps

    @property
    def macs(self) -> int:
        return self.rows * len(_GATES) * self.units * (self.depth + self.units)

    def lead(self, last_reading: int) -> int:
        """How far the outputs run ahead of the inputs; `last_reading`: outputs of a row before its input is let go."""
        return last_reading + max(0, (self.rows - 1) * (self.units - self.depth))


@dataclass(frozen=True, eq=False)
class _Product:
    """Products of rows with the matrices of all gates.

    Attributes:
        weights: (units x gates, depth), the gates of a unit together.
        bias: (units x gates,), the zero point of the rows folded in.
        scales: For each gate the C struct `tinyml_lstm_scale`.
    """

    weights: Int64
    bias: Int64
    scales: tuple[dict[str, ParameterValue], ...]


def _shape(view: OpView) -> _Shape:
    input_, output = view.activation(0, rank=3), view.output(rank=3)
    time_major = bool(view.op.options["time_major"])
    units = view.constant(_FIRST_INPUT_WEIGHTS, DType.INT8, rank=2).shape[0]
    view.expect_shape(output, (*input_.shape[:2], units))
    steps, batches = input_.shape[:2] if time_major else input_.shape[1::-1]
    return _Shape(batches, steps, input_.shape[2], units, time_major)


def _product(view: OpView, shape: _Shape, rows: Tensor, first: int, depth: int, *, biases: bool) -> _Product:
    """The products with the four matrices from input `first` on."""
    weights, bias, scales = [], [], []
    for gate, _ in enumerate(_GATES):
        place = first + gate
        matrix = _matrix(view, place, (shape.units, depth))
        values = matrix.data
        assert values is not None
        wide = values.astype(np.int64)
        own = _bias(view, _FIRST_BIAS + gate, shape.units) if biases else np.zeros(shape.units, np.int64)
        folded = own - rows.zero_point * wide.sum(axis=1)
        # |row - zero point| <= 255, with either form of the sum and at every step of it.
        reach = int((np.maximum(np.abs(own), np.abs(folded)) + 255 * np.abs(wide).sum(axis=1)).max())
        scales.append(_scale(view, place, rows.scale * matrix.scale / _GATE_SCALE, reach))
        weights.append(wide)
        bias.append(folded)
    return _Product(
        weights=np.stack(weights, axis=1).reshape(-1, depth),
        bias=np.stack(bias, axis=1).reshape(-1),
        scales=tuple(scales),
    )


def _matrix(view: OpView, place: int, shape: tuple[int, int]) -> Tensor:
    if view.constant(place, DType.INT8, rank=2).shape != shape:
        raise view.fail(f"input {place}: shape", f"is {list(view.input(place).shape)}, not {list(shape)}")
    matrix = view.input(place)
    assert matrix.quantization is not None  # view.input has checked it
    if matrix.quantization.per_channel:
        # TFLM reads a multiplier that it has not set then.
        raise view.fail(
            f"input {place}: quantization", "has a scale for each channel; an LSTM's weights have one in all"
        )
    if matrix.zero_point != 0:
        raise view.fail(f"input {place}: quantization", "weights must be symmetric: their zero point is not 0")
    return matrix


def _bias(view: OpView, place: int, units: int) -> Int64:
    bias = view.constant(place, DType.INT32)
    if bias.shape != (units,):
        raise view.fail(f"input {place}: shape", f"is {list(bias.shape)}, not [{units}]")
    return bias.astype(np.int64)


def _state(view: OpView, place: int, shape: _Shape, dtype: DType) -> Tensor:
    state = view.input(place, dtype, rank=2)
    if state.index not in view.graph.variables or state.is_constant:
        raise view.fail(f"input {place}", "is no variable, so that it cannot hold a state")
    readers = [index for op in view.graph.ops for index in op.inputs if index == state.index]
    if len(readers) > 1 or state.index in (*view.graph.inputs, *view.graph.outputs):
        raise view.fail(f"input {place}", "is used by something else too")
    if state.shape != (shape.batches, shape.units):
        raise view.fail(f"input {place}: shape", f"is {list(state.shape)}, not {[shape.batches, shape.units]}")
    if state.quantization is None or state.quantization.per_channel:
        raise view.fail(f"input {place}: quantization", "a state must have one scale")
    return state


def _output_state(view: OpView, shape: _Shape) -> Tensor:
    state = _state(view, _OUTPUT_STATE, shape, DType.INT8)
    output = view.output()
    if (state.scale, state.zero_point) != (output.scale, output.zero_point):
        # TFLM copies the state to the output, whatever the output's scale is.
        raise view.fail(f"input {_OUTPUT_STATE}: quantization", "is not the output's")
    return state


def _cell_exponent(view: OpView, shape: _Shape) -> int:
    """The power of two that is the cell state's scale."""
    state = _state(view, _CELL_STATE, shape, DType.INT16)
    fraction, exponent = math.frexp(state.scale)
    lowest, highest = _CELL_EXPONENTS
    if fraction != 0.5 or not lowest <= exponent - 1 <= highest or state.zero_point != 0:
        raise view.fail(
            f"input {_CELL_STATE}: quantization",
            f"scale {state.scale:g} and zero point {state.zero_point} are not a power of two, 2^{lowest} to "
            f"2^{highest}, and 0",
        )
    return exponent - 1


def _scale(view: OpView, place: int, factor: float, reach: int) -> dict[str, ParameterValue]:
    """A factor for values up to `reach` as the C struct `tinyml_lstm_scale`."""
    multiplier, shift = quantize_multiplier(factor)
    left, right = max(shift, 0), max(-shift, 0)
    if reach << (left + 1) >= 2**31:
        raise view.fail(f"input {place}", "the sums of this gate can overflow 32 bits when they are scaled")
    return {"multiplier": multiplier, "left": left, "right": right}


def _cell_limits(view: OpView, exponent: int) -> tuple[int, int]:
    """What the cell state is clipped to, as `CreateLstmCellStateInfo` has it."""
    clip = view.op.options["cell_clip"]
    if not isinstance(clip, (int, float)) or not math.isfinite(clip):
        raise view.fail("cell_clip", f"is {clip}")
    if clip <= 0:
        return -(2**15), 2**15 - 1
    limit = int(min(clip / 2.0**exponent, 2.0**15 - 1))
    return -limit, limit


# -- kernels ------------------------------------------------------------------------------------------------------


def _parameters(
    view: OpView, shape: _Shape, from_input: _Product, from_output: _Product, state: Tensor
) -> Mapping[str, ParameterValue]:
    """The C struct `tinyml_lstm_params`."""
    exponent = _cell_exponent(view, shape)
    cell_min, cell_max = _cell_limits(view, exponent)
    gates: dict[str, ParameterValue] = {
        gate: {"from_input": from_input.scales[index], "from_output": from_output.scales[index]}
        for index, gate in enumerate(_GATES)
    }
    # Products of two Q0.15 never reach 2^30, as a logistic function is at most 2^15 - 1 there.
    output = _scale(view, _OUTPUT_STATE, _ONE * _ONE / state.scale, 2**30 - 1)
    return {
        "outer": shape.steps if shape.time_major else shape.batches,
        "inner": shape.batches if shape.time_major else shape.steps,
        "time_major": int(shape.time_major),
        "depth": shape.depth,
        "units": shape.units,
        **gates,
        "cell_right": 29 + exponent,
        "cell_min": cell_min,
        "cell_max": cell_max,
        "tanh_left": max(12 + exponent, 0),
        "tanh_right": max(-12 - exponent, 0),
        "output": output,
        "output_zero_point": state.zero_point,
    }


def _portable(
    view: OpView,
    shape: _Shape,
    from_input: _Product,
    from_output: _Product,
    lstm: Mapping[str, ParameterValue],
) -> Candidate:
    layer = Layer(
        op=view.op,
        kernel="tinyml_lstm",
        header="unidirectional_sequence_lstm.h",
        arguments=(
            Parameters("tinyml_lstm_params", lstm),
            Input(0),
            Constant("input_weights", from_input.weights.astype(np.int8)),
            Constant("input_bias", from_input.bias.astype(np.int32)),
            Constant("output_weights", from_output.weights.astype(np.int8)),
            Constant("output_bias", from_output.bias.astype(np.int32)),
            State(_OUTPUT_STATE),
            State(_CELL_STATE),
            Output(),
        ),
        macs=shape.macs,
        lead=(shape.lead(shape.units - 1),),
    )
    return Candidate(layer, cost=2.6 * shape.macs + 250 * shape.rows * shape.units)


def _dsp(
    view: OpView,
    shape: _Shape,
    from_input: _Product,
    from_output: _Product,
    lstm: Mapping[str, ParameterValue],
) -> Candidate | None:
    """Two units at a time, so that the eight sums of the row kernel are theirs."""
    streams, words = [], []
    for product in (from_input, from_output):
        order = padded_order(np.arange(product.weights.shape[1]))
        stream = mixed_stream(product.weights, product.bias, order, block=8)
        if stream is None:
            return None
        streams.append(stream)
        words.append(len(order) // 4)
    # Rows that do not consist of words are copied.
    copied = [padded_to_words(size) if size % 4 else 0 for size in (shape.depth, shape.units)]
    layer = Layer(
        op=view.op,
        kernel="tinyml_lstm_dsp",
        header="dsp/unidirectional_sequence_lstm_dsp.h",
        arguments=(
            Parameters("tinyml_lstm_dsp_params", {"lstm": lstm, "input_words": words[0], "output_words": words[1]}),
            Input(0),
            Constant("input_weights", streams[0]),
            Constant("output_weights", streams[1]),
            State(_OUTPUT_STATE),
            State(_CELL_STATE),
            Output(),
            Scratch(),
        ),
        macs=shape.macs,
        lead=(shape.lead(0 if copied[0] else (shape.units - 1) // 2 * 2),),
        scratch_bytes=sum(copied),
    )
    return Candidate(layer, cost=1.1 * shape.macs + 250 * shape.rows * shape.units, requires=DSP)
