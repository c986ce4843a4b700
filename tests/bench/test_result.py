"""The result's JSON keeps its schema, and comparisons count what differs."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from support.tools import require_tool

from tinyml_sdk import benchmark
from tinyml_sdk.bench.check import compare_outputs, first_differing, measure_accuracy
from tinyml_sdk.bench.result import result_schema
from tinyml_sdk.graph import DType, Quantization, Tensor

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.mark.slow
@pytest.mark.parametrize("inputs", [None, DIGITS / "digits_test.npz"])
def test_real_results_keep_the_schema(inputs):
    require_tool("unicorn")
    result = benchmark(DIGITS / "digits.tflite", board="mps2-an386", inputs=inputs)
    data = json.loads(result.to_json())
    jsonschema.validate(data, result_schema())
    assert list(data)[:4] == ["schema", "model", "board", "core"]
    assert data["latency_us"] is None  # an emulator has no microseconds
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**data, "extra": 1}, result_schema())


def outputs(*values):
    return [[np.array(value, np.int8)] for value in values]


def test_equal_outputs_are_bit_exact():
    check = compare_outputs("host", outputs([1, 2], [3, 4]), outputs([1, 2], [3, 4]))
    assert (check.bit_exact, check.differing, check.max_abs_diff, check.inputs) == (True, 0, 0, 2)


def test_differing_outputs_are_counted():
    expected, actual = outputs([1, 2], [-128, 4]), outputs([1, 2], [127, 5])
    check = compare_outputs("host", expected, actual)
    assert (check.bit_exact, check.differing, check.max_abs_diff) == (False, 2, 255)
    assert first_differing(expected, actual) == 1


def test_float_outputs_compare_by_their_bits():
    zero, minus_zero = [[np.array([0.0], np.float32)]], [[np.array([-0.0], np.float32)]]
    nan = [[np.array([np.nan], np.float32)]]
    assert not compare_outputs("host", zero, minus_zero).bit_exact
    assert compare_outputs("host", nan, nan).bit_exact


def test_accuracy_of_device_and_reference():
    scores = Tensor("scores", (1, 2), DType.INT8, Quantization((1 / 256,), (-128,)))
    accuracy = measure_accuracy(np.array([0, 1]), scores, outputs([9, 1], [1, 9]), outputs([9, 1], [9, 1]))
    assert accuracy is not None
    assert (accuracy.device, accuracy.reference, accuracy.samples) == (0.5, 1.0, 2)
    assert measure_accuracy(None, scores, outputs([1]), outputs([1])) is None


def test_a_single_score_chooses_by_half():
    score = Tensor("score", (1, 1), DType.INT8, Quantization((1 / 256,), (-128,)))
    accuracy = measure_accuracy(np.array([0, 1, 1]), score, outputs([0], [1], [127]), outputs([-128], [0], [9]))
    assert accuracy is not None
    assert (accuracy.device, accuracy.reference) == (2 / 3, 1.0)
