"""Imports point one way: each part of the package knows the parts below it, never those above."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "tinyml_sdk"

LAYERS = (  # from the bottom; parts of one row do not know each other
    ("errors", "progress", "resources"),
    ("yaml_files",),
    ("boards",),
    ("graph",),
    ("ops",),
    ("plan",),
    ("codegen",),
    ("link", "toolchains"),
    ("flash",),
    ("targets",),
    ("tflm",),
    ("detect", "firmware", "simulator"),
    ("bench", "flashing"),
    ("device", "doctor", "quantize"),
    ("compress", "port_doctor"),
    ("report",),
    ("cli",),
    ("__main__",),
    ("pytest_plugin",),
)
LEVEL = {part: level for level, parts in enumerate(LAYERS) for part in parts}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")


def imported_parts(path: Path) -> Iterator[str]:
    """The parts of the package that a module imports: anywhere in it, and for type checking too."""
    package = ("tinyml_sdk", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            names = [".".join((*base, *filter(None, [node.module]), alias.name)) for alias in node.names]
        else:
            continue
        for name in names:
            top, part, *_ = (*name.split("."), "__")
            if top == "tinyml_sdk" and not part.startswith("__"):
                yield part


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for imported in imported_parts(path):
        assert imported == part or LEVEL[imported] < LEVEL[part], f"{part} must not import {imported}"


def test_the_layers_are_the_package() -> None:
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert parts == set(LEVEL)


def test_only_graph_knows_flatbuffers() -> None:
    knowing = {path for path in MODULES if "flatbuffer" in path.read_text(encoding="utf-8").lower()}
    # TFLM's headers include those of FlatBuffers, so this one names their folder.
    knowing.remove(PACKAGE / "tflm" / "tree.py")
    assert {path.parent.name for path in knowing} == {"graph"}
