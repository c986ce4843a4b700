"""Whole models as generated C under AddressSanitizer and UndefinedBehaviorSanitizer, equal to TFLM in every layout."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.corpus import MLPERF_TINY, TFLM, corpus_model, without_corpus
from support.single_op import assert_equals_tflm
from support.tools import require_tool

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"

pytestmark = pytest.mark.slow


def test_digits():
    require_tool("tflite_micro")
    assert_equals_tflm(DIGITS.read_bytes())


@without_corpus
@pytest.mark.parametrize("model", [*MLPERF_TINY, *TFLM])
def test_published_model(model):
    require_tool("tflite_micro")
    assert_equals_tflm(corpus_model(model).read_bytes())
