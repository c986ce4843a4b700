"""A firmware that computes something else is caught, and the layer that goes wrong is named."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from support.chains import Chain, Stage
from support.filter_op import Numbers
from support.tflite_model import ModelBuilder
from support.tools import require_tool

from tinyml_sdk.bench.benchmark import benchmark
from tinyml_sdk.bench.check import compare_outputs, first_differing
from tinyml_sdk.bench.inputs import check_inputs
from tinyml_sdk.bench.reference import open_reference
from tinyml_sdk.bench.session import first_divergent_layer, measure
from tinyml_sdk.errors import TargetError
from tinyml_sdk.firmware import Inspection, build_inspected, inspect_model
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.plan import plan_memory, stream_layers
from tinyml_sdk.targets import open_target

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"

pytestmark = pytest.mark.slow


def with_other_bias(inspection: Inspection, layer: int) -> Inspection:
    """The same model with the biases of one layer moved: what a miscompiled kernel might compute."""
    graph = inspection.graph
    index = graph.ops[layer].inputs[2]
    tensor = dataclasses.replace(graph.tensors[index], data=graph.tensors[index].data + 5_000)
    tensors = (*graph.tensors[:index], tensor, *graph.tensors[index + 1 :])
    changed = dataclasses.replace(graph, tensors=tensors)
    layers = lower_graph(changed, inspection.board.core_spec)
    return dataclasses.replace(inspection, graph=changed, layers=layers, plan=plan_memory(changed, layers))


def fusing_model() -> bytes:
    """PAD, CONV_2D, RELU, PAD, DEPTHWISE_CONV_2D, CONV_2D: three layers in six ops."""
    builder, n = ModelBuilder(), Numbers()
    after = (n.output_scale, n.output_zero_point)
    sides = builder.constant(np.array([(0, 0), (0, 1), (0, 1), (0, 0)], np.int32))
    x, numbers = builder.input((1, 12, 12, 3), n.input_scale, n.input_zero_point), (n.input_scale, n.input_zero_point)
    for name, size, depth in (("CONV_2D", 12, 3), ("DEPTHWISE_CONV_2D", 6, 8)):
        padded = builder.tensor((1, size + 1, size + 1, depth), *numbers)
        builder.op("PAD", [x, sides], [padded])
        is_depthwise = depth == 8
        weights = n.add_filter(builder, (1, 3, 3, 8) if is_depthwise else (8, 3, 3, 3), 3 if is_depthwise else 0)
        y = builder.tensor((1, size // 2, size // 2, 8), *after)
        builder.op(name, [padded, weights, *n.add_bias(builder, 8)], [y], padding="VALID", stride_h=2, stride_w=2,
                   **({"depth_multiplier": 1} if is_depthwise else {}))  # fmt: skip
        x, numbers = y, after
        if not is_depthwise:
            x = builder.tensor((1, 6, 6, 8), *after)
            builder.op("RELU", [y], [x])
    weights = n.add_filter(builder, (4, 1, 1, 8))
    builder.op("CONV_2D", [x, weights, *n.add_bias(builder, 4)], [builder.output((1, 3, 3, 4), *after)],
               stride_h=1, stride_w=1)  # fmt: skip
    return builder.build()


@pytest.mark.parametrize("layer", [0, 1])
def test_layers_with_fused_ops_are_found_by_their_index_in_the_file(tmp_path, layer):
    require_tool("unicorn")
    model = tmp_path / "fusing.tflite"
    model.write_bytes(fusing_model())
    honest = inspect_model(model, "mps2-an386")
    assert honest.fused_ops == 3
    assert [found.op.index for found in honest.layers] == [1, 4, 5]
    assert benchmark(model, board="mps2-an386", runs=1).check.bit_exact
    assert divergent_layer(model, with_other_bias(honest, layer), tmp_path) == layer


def test_first_divergent_layer_is_found(tmp_path):
    require_tool("unicorn")
    assert divergent_layer(DIGITS, with_other_bias(inspect_model(DIGITS, "mps2-an386"), 2), tmp_path) == 2


def test_a_stream_is_found_by_what_it_writes(tmp_path):
    """Two of four layers run row by row: what lies between them is nowhere as a whole."""
    require_tool("unicorn")
    stages = (Stage(channels=8), Stage(channels=8), Stage("ADD"), Stage(channels=4, stride=(2, 2)))
    model = tmp_path / "chain.tflite"
    model.write_bytes(Chain((32, 32, 8), stages).model())
    honest = inspect_model(model, "mps2-an386")
    assert [len(layer.parts) for layer in honest.layers] == [1, 2, 1]
    result = benchmark(model, board="mps2-an386", runs=1)
    assert result.check.bit_exact
    assert [layer.op for layer in result.layers] == ["CONV_2D", "CONV_2D + ADD", "CONV_2D"]
    wrong = with_other_bias(honest, 1)
    layers = stream_layers(wrong.graph, wrong.layers, honest.board.core_spec).layers
    wrong = dataclasses.replace(wrong, layers=layers, plan=plan_memory(wrong.graph, layers))
    assert divergent_layer(model, wrong, tmp_path) == 1


def divergent_layer(model: Path, wrong: Inspection, tmp_path: Path) -> int | None:
    """What is found to go wrong first in a firmware, which must not be bit exact."""
    honest = inspect_model(model, "mps2-an386")
    firmware = build_inspected(wrong, tmp_path / "p", "zig", "speed")
    inputs = check_inputs(honest.graph.input_tensors)
    with ExitStack() as stack:
        reference = open_reference(model, honest, stack)
        expected = reference.run(inputs)
        target = stack.enter_context(open_target("builtin", honest.board))
        measurement = measure(target, firmware.elf, honest.graph, honest.board, inputs, 1, lambda *_: None)
        check = compare_outputs(reference.name, expected, measurement.outputs)
        assert not check.bit_exact
        assert check.differing > 0
        worst = first_differing(expected, measurement.outputs)
        return first_divergent_layer(target, firmware.elf, wrong, reference, inputs[worst])


def test_a_firmware_of_another_model_is_refused(tmp_path):
    require_tool("unicorn")
    inspection = inspect_model(DIGITS, "mps2-an386")
    firmware = build_inspected(inspection, tmp_path / "p", "zig", "speed")
    other = dataclasses.replace(inspection.graph, sha256="0" * 64)
    inputs = check_inputs(other.input_tensors, count=1)
    with open_target("builtin", inspection.board) as target, pytest.raises(TargetError, match="another model"):
        measure(target, firmware.elf, other, inspection.board, inputs, 1, lambda *_: None)
