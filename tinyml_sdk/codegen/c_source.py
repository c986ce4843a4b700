"""Python values as C source: literals, arrays, initializers and calls, laid out as clang-format would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ..ops import ParameterValue

__all__ = ["COLUMNS", "array_rows", "c_call", "c_string", "float_literal", "int_literal", "struct_rows"]

COLUMNS = 100
"""Line length of generated code; `.clang-format` has the same."""

C_TYPES = {"int8": "int8_t", "int16": "int16_t", "int32": "int32_t", "uint8": "uint8_t", "float32": "float"}
"""Element types of constant arrays."""


def int_literal(value: int) -> str:
    """An int32 literal. INT32_MIN has no literal of its own in C."""
    return "INT32_MIN" if value == -(2**31) else str(value)


def float_literal(value: float) -> str:
    """The shortest float literal that reads back as the same float32."""
    text = str(np.float32(value))
    if "e" not in text and "." not in text:
        text += ".0"
    return f"{text}f"


def c_string(text: str) -> str:
    """A string literal of printable ASCII; anything else becomes `?`."""
    printable = "".join(char if " " <= char <= "~" else "?" for char in text)
    return '"' + printable.replace("\\", "\\\\").replace('"', '\\"') + '"'


def array_rows(values: npt.NDArray[np.generic], indent: str = "    ") -> str:
    """The elements of an array initializer, as many to a line as fit."""
    literal = float_literal if values.dtype.kind == "f" else int_literal
    rows: list[str] = []
    line = indent
    for value in values.reshape(-1).tolist():
        item = literal(value) + ","
        if len(line) + len(item) > COLUMNS:
            rows.append(line.rstrip())
            line = indent
        line += item + " "
    rows.append(line.rstrip())
    return "\n".join(rows)


def struct_rows(fields: Mapping[str, ParameterValue], indent: str) -> str:
    """The designated initializers of a struct, one to a line, nested structs indented."""
    rows = []
    for name, value in fields.items():
        if isinstance(value, Mapping):
            rows.append(
                f"{indent}.{name} =\n{indent}    {{\n{struct_rows(value, indent + '        ')}\n{indent}    }},"
            )
        else:
            rows.append(f"{indent}.{name} = {_initializer(value)},")
    return "\n".join(rows)


def _initializer(value: int | float | str | tuple[int, ...]) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, tuple):
        return "{" + ", ".join(int_literal(item) for item in value) + "}"
    return float_literal(value) if isinstance(value, float) else int_literal(value)


def c_call(function: str, arguments: Sequence[str], indent: str, end: str = ");") -> str:
    """A call statement, or with another `end` something like it, wrapped behind its opening parenthesis."""
    start = f"{indent}{function}("
    lines, line = [], start
    for position, argument in enumerate(arguments):
        item = argument + (end if position == len(arguments) - 1 else ",")
        space = "" if line.endswith("(") or not line.strip() else " "
        if len(line) + len(space) + len(item) > COLUMNS:
            lines.append(line)
            line, space = " " * len(start), ""
        line += space + item
    return "\n".join([*lines, line])
