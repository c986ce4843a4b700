"""The public face: what `tinyml_sdk` exports, and that importing it costs nothing."""

import subprocess
import sys

import pytest

import tinyml_sdk


def test_all_is_sorted_and_complete() -> None:
    assert tinyml_sdk.__all__ == sorted(set(tinyml_sdk.__all__))
    for name in tinyml_sdk.__all__:
        assert getattr(tinyml_sdk, name) is not None
    assert set(tinyml_sdk.__all__) <= set(dir(tinyml_sdk))


def test_every_error_is_exported() -> None:
    from tinyml_sdk import errors

    assert set(errors.__all__) <= set(tinyml_sdk.__all__)


def test_import_is_lazy() -> None:
    code = "import sys, tinyml_sdk; print(*(name for name in sys.modules if name.startswith('tinyml_sdk')))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["tinyml_sdk"]


@pytest.mark.slow
def test_nothing_public_imports_tensorflow() -> None:
    """Before it is called: every name and every command is there in an instant, and on machines without TensorFlow."""
    code = """
import sys, tinyml_sdk, tinyml_sdk.cli, tinyml_sdk.compress
for package in (tinyml_sdk, tinyml_sdk.compress):
    for name in package.__all__:
        getattr(package, name)
print(*({"tensorflow", "keras", "tf_keras", "sklearn"} & set(sys.modules)))
"""
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == []
