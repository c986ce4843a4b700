"""C literals and layout."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tinyml_sdk.codegen.c_source import COLUMNS, array_rows, c_call, c_string, float_literal, int_literal


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float_literals_read_back(value):
    literal = float_literal(value)
    assert literal.endswith("f")
    assert np.float32(literal[:-1]) == np.float32(value)
    assert "." in literal or "e" in literal


def test_least_int32_has_no_literal():
    assert int_literal(-(2**31)) == "INT32_MIN"
    assert int_literal(-5) == "-5"


@given(st.text())
def test_strings_are_closed_and_printable(text):
    literal = c_string(text)
    assert literal[0] == literal[-1] == '"'
    assert all(" " <= char <= "~" for char in literal)
    assert "\n" not in literal


def test_arrays_fill_lines():
    rows = array_rows(np.arange(-128, 128, dtype=np.int8)).splitlines()
    assert all(len(row) <= COLUMNS for row in rows)
    assert [int(item) for item in " ".join(rows).replace(",", " ").split()] == list(range(-128, 128))


def test_calls_wrap_behind_the_parenthesis():
    lines = c_call("kernel", [f"argument_{index}" for index in range(12)], "  ").splitlines()
    assert all(len(line) <= COLUMNS for line in lines)
    assert all(line.startswith(" " * len("  kernel(")) for line in lines[1:])
