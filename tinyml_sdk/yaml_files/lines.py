"""YAML as plain values that remember their lines: the small part of YAML that boards and recipes need.

Maps, lists, text, decimal and hex integers, decimal fractions, true and false, null. No anchors and aliases (a few
hundred bytes of them make gigabytes), no tags, no repeated keys, and none of the integers YAML 1.1 sees in `010` or
`1:30`.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

__all__ = ["KeyPath", "YamlError", "parse_yaml"]

KeyPath = tuple[str | int, ...]
"""Where a value is: `("flash", "origin")`, `("quirks", 1)`."""

MAX_DEPTH = 8

# YAML 1.1 takes 1e-3 for text, and nobody who writes it does.
_REAL = re.compile(r"[-+]?(\d{1,20}\.\d{0,20}|\.\d{1,20}|\d{1,20})([eE][-+]?\d{1,3})?")
_INTEGER = re.compile(r"[-+]?(0[xX][0-9a-fA-F_]{1,20}|0|[1-9][0-9_]{0,20})")
_TAG = "tag:yaml.org,2002:"


class YamlError(ValueError):
    """What is wrong and in which line, counted from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


def parse_yaml(text: str) -> tuple[Any, dict[KeyPath, int]]:
    """The value of a YAML document, lists as tuples, and the line of each key and item.

    Raises:
        YamlError: it is not YAML, or uses what this reader refuses.
    """
    try:
        root = yaml.compose(text, Loader=_PlainLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(error.problem or "not YAML", mark.line + 1 if mark else 1) from error
    except yaml.YAMLError as error:
        raise YamlError(str(error).splitlines()[0], 1) from error
    lines: dict[KeyPath, int] = {(): 1}
    return (None if root is None else _value(root, (), lines)), lines


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases and depth before anything is built from them."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise YamlError("anchors and aliases are not allowed", line)
        if isinstance(event, yaml.CollectionStartEvent) and self._depth == MAX_DEPTH:
            raise YamlError(f"nested more than {MAX_DEPTH} deep", line)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


def _value(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, lines)
    if isinstance(node, yaml.SequenceNode):
        items: list[Any] = []
        for index, item in enumerate(node.value):
            here = (*path, index)
            lines[here] = item.start_mark.line + 1
            items.append(_value(item, here, lines))
        return tuple(items)
    return _scalar(node)


def _mapping(node: yaml.MappingNode, path: KeyPath, lines: dict[KeyPath, int]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            raise YamlError("a key must be a word", line)
        key = key_node.value
        if key in result:
            raise YamlError(f"{key} is given twice", line)
        here = (*path, key)
        lines[here] = line
        result[key] = _value(value_node, here, lines)
    return result


def _scalar(node: yaml.Node) -> Any:
    text, kind = str(node.value), node.tag.removeprefix(_TAG)
    line = node.start_mark.line + 1
    if (
        kind in ("str", "float")
        and not getattr(node, "style", None)
        and _REAL.fullmatch(text)
        and any(c in text for c in ".eE")
    ):
        return float(text)
    if kind == "str":
        return text
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on")
    if kind == "int" and _INTEGER.fullmatch(text):
        return int(text.replace("_", ""), 0)
    if kind in ("int", "float"):
        raise YamlError(
            f"{text} is not a decimal number or 0x… integer; put text that looks like a number in quotes", line
        )
    if kind == "timestamp":
        return text
    raise YamlError(f"the tag {node.tag} is not allowed", line)
