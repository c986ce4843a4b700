"""A firmware that computes something else is caught, and the layer that goes wrong is named."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.tools import require_tool

from tinyml_sdk.bench.check import compare_outputs, first_differing
from tinyml_sdk.bench.inputs import check_inputs
from tinyml_sdk.bench.reference import open_reference
from tinyml_sdk.bench.session import first_divergent_layer, measure
from tinyml_sdk.errors import TargetError
from tinyml_sdk.firmware import Inspection, build_inspected, inspect_model
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.plan import plan_memory
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


def test_first_divergent_layer_is_found(tmp_path):
    require_tool("unicorn")
    honest = inspect_model(DIGITS, "mps2-an386")
    wrong = with_other_bias(honest, 2)
    firmware = build_inspected(wrong, tmp_path / "p", "zig", "speed")
    inputs = check_inputs(honest.graph.input_tensors)
    with ExitStack() as stack:
        reference = open_reference(DIGITS, honest, stack)
        expected = reference.run(inputs)
        target = stack.enter_context(open_target("builtin", honest.board))
        measurement = measure(target, firmware.elf, honest.graph, honest.board, inputs, 1, lambda *_: None)
        check = compare_outputs(reference.name, expected, measurement.outputs)
        assert not check.bit_exact
        assert check.differing > 0
        worst = first_differing(expected, measurement.outputs)
        assert first_divergent_layer(target, firmware.elf, wrong, reference, inputs[worst]) == 2


def test_a_firmware_of_another_model_is_refused(tmp_path):
    require_tool("unicorn")
    inspection = inspect_model(DIGITS, "mps2-an386")
    firmware = build_inspected(inspection, tmp_path / "p", "zig", "speed")
    other = dataclasses.replace(inspection.graph, sha256="0" * 64)
    inputs = check_inputs(other.input_tensors, count=1)
    with open_target("builtin", inspection.board) as target, pytest.raises(TargetError, match="another model"):
        measure(target, firmware.elf, other, inspection.board, inputs, 1, lambda *_: None)
