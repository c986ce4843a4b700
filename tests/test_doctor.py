"""What `diagnose` finds on a machine that has everything the tests need, and on one that has not."""

import importlib.util
import sys
from pathlib import Path

import pytest

from tinyml_sdk.cli import main
from tinyml_sdk.doctor import diagnose


def test_the_default_stack_is_found_here() -> None:
    findings = {finding.name: finding for finding in diagnose()}
    required = {name for name, finding in findings.items() if finding.required}
    assert required == {"python", "package data", "cache folder", "zig", "builtin emulator"}
    assert all(findings[name].status == "ok" for name in (*required, "instruction counter"))
    assert all(finding.remedy for finding in findings.values() if finding.status != "ok")


def test_an_unwritable_cache_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    finding = next(finding for finding in diagnose() if finding.name == "cache folder")
    assert finding.status == "broken"
    assert "XDG_CACHE_HOME" in finding.remedy


def test_without_the_extras(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    real = importlib.util.find_spec
    absent = ("ziglang", "tflite_micro")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name in absent else real(name, *rest))
    monkeypatch.setitem(sys.modules, "unicorn", None)
    monkeypatch.setenv("PATH", "")
    findings = {finding.name: finding for finding in diagnose()}
    for name in ("zig", "builtin emulator", "instruction counter", "qemu", "gnu_arm"):
        assert findings[name].status == "missing"
    assert "tinyml-sdk[zig]" in findings["zig"].remedy
    assert main(["doctor"]) == 3
    out, err = capsys.readouterr()
    assert "tinyml-sdk[emulator]" in out.replace("\n", "")
    assert "cannot run without zig, builtin emulator" in err
