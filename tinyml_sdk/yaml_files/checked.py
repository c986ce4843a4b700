"""A YAML file as a pydantic model, or one error that says where it is wrong and what would be right."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InputError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from .lines import KeyPath

__all__ = ["FileKind", "read_checked"]

Model = TypeVar("Model", bound="BaseModel")

MAX_BYTES = 64 * 1024
"""Of a file. The real ones have about 1 KB."""


@dataclass(frozen=True)
class FileKind:
    """How errors speak of a file.

    Attributes:
        name: `board file`.
        error: The class to raise.
        example: Where to see a good one, for hints.
    """

    name: str
    error: type[InputError]
    example: str


def read_checked(model: type[Model], file: Path, kind: FileKind) -> Model:
    """Read and validate a file. Its model is immutable: as long as the file is the same, so is what is returned.

    Raises:
        InputError: of the class `kind.error`; names file, line and key.
    """
    read: Model = _checked(model, _text(file, kind), file, kind)
    return read


@lru_cache(maxsize=256)
def _checked(model: type[Any], text: str, file: Path, kind: FileKind) -> Any:
    from pydantic import ValidationError

    from .lines import YamlError, parse_yaml

    try:
        value, lines = parse_yaml(text)
    except YamlError as error:
        raise kind.error(str(error), where=f"{file}:{error.line}", hint=kind.example) from error
    if not isinstance(value, dict):
        raise kind.error("is not a list of `key: value` lines", where=str(file), hint=kind.example)
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _fault_error(model, file, kind, error.errors(include_url=False), lines) from error


def _text(file: Path, kind: FileKind) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise kind.error(
            f"cannot be read: {error.strerror}", where=str(file), hint=f"give the path of a {kind.name}"
        ) from error
    if len(data) > MAX_BYTES:
        raise kind.error(f"is larger than {MAX_BYTES:,} bytes", where=str(file), hint=f"this is not a {kind.name}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise kind.error("is not UTF-8 text", where=str(file), hint=f"this is not a {kind.name}") from error


def _fault_error(
    model: type[Model], file: Path, kind: FileKind, faults: list[ErrorDetails], lines: dict[KeyPath, int]
) -> InputError:
    """One error for the first fault in the file; the message says how many more there are.

    What is missing comes last: often it is there, misspelt, and the unknown key has the better hint.
    """
    located = [(*_locate(fault, lines), fault) for fault in faults]
    key, line, first = min(located, key=lambda item: (item[2]["type"] == "missing", item[1]))
    message, hint = _explain(model, first, kind)
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return kind.error(message + more, where=f"{file}:{line}: {'.'.join(map(str, key))}", hint=hint)


def _locate(fault: ErrorDetails, lines: dict[KeyPath, int]) -> tuple[KeyPath, int]:
    """The key at fault and its line, or the line of what encloses it where it is missing.

    What is wrong between keys names one of them itself (`ctx.key`). Pydantic's own path has the tag of a union between
    two keys, which the file does not.
    """
    named = fault.get("ctx", {}).get("key", ())
    parts = (*fault["loc"], *((named,) if isinstance(named, str) else named))
    known: KeyPath = ()
    for position, part in enumerate(parts):
        if (*known, part) in lines:
            known = (*known, part)
        elif position == len(parts) - 1 and fault["type"] != "union_tag_not_found":
            return (*known, part), lines[known]
    return known, lines[known]


def _explain(model: type[Model], fault: ErrorDetails, kind: FileKind) -> tuple[str, str]:
    """Message and hint for one fault that pydantic found."""
    if fault["type"] in ("missing", "union_tag_not_found"):
        what = fault.get("ctx", {}).get("discriminator", "").strip("'")
        return f"{what} is missing".strip(), f"add it; {kind.example}"
    if fault["type"] == "extra_forbidden":
        return "unknown key", _known_keys_hint(model, fault["loc"])
    if fault["type"] == "union_tag_invalid":
        context = fault["ctx"]
        key = context["discriminator"].strip("'")
        expected = [tag.strip(" '") for tag in context["expected_tags"].split(",")]
        return f"there is no {key} {context['tag']!r}", _near_hint(context["tag"], expected)
    message = fault["msg"].replace("Input should", "should")
    given = fault["input"]
    if fault["type"] != "conflict" and isinstance(given, (str, int, float)):
        message += f", not {given!r}"
    return message, kind.example


def _known_keys_hint(model: type[Model], path: tuple[int | str, ...]) -> str:
    """What keys there are beside an unknown one, and which is close to it."""
    schema: dict[str, Any] = model.model_json_schema()
    node = schema
    for part in path[:-1]:
        node = _resolved(schema, _child(node, part))
    return _near_hint(str(path[-1]), list(node.get("properties", {})), "known keys")


def _child(node: dict[str, Any], part: int | str) -> dict[str, Any]:
    """One step down a JSON schema: into a list, into the member of a union that a tag names, or to a key."""
    if isinstance(part, int):
        items: dict[str, Any] = node.get("items", {})
        return items
    tagged = node.get("discriminator", {}).get("mapping", {})
    if part in tagged:
        return {"$ref": tagged[part]}
    child: dict[str, Any] = node.get("properties", {}).get(part, {})
    return child


def _resolved(schema: dict[str, Any], node: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for, also where it may be null instead."""
    for option in (node, *node.get("anyOf", ())):
        if "$ref" in option:
            found: dict[str, Any] = schema["$defs"][option["$ref"].rpartition("/")[2]]
            return found
    return node


def _near_hint(given: str, known: list[str], title: str = "known") -> str:
    close = difflib.get_close_matches(given, known, n=1)
    return f"did you mean {close[0]}?" if close else f"{title}: {', '.join(known)}"
