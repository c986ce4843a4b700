"""Generated folders appear whole, and never replace somebody's own work."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinyml_sdk.codegen import MANIFEST, read_manifest, write_folder
from tinyml_sdk.errors import InputError

FILES = {"a.c": "int a;\n", "deep/b.h": "int b;\n"}


def test_writes_files_and_manifest(tmp_path):
    write_folder(tmp_path / "out", FILES, {"model": "m"})
    assert (tmp_path / "out/deep/b.h").read_text() == "int b;\n"
    manifest = read_manifest(tmp_path / "out")
    assert manifest["model"] == "m"
    assert list(manifest["files"]) == ["a.c", "deep/b.h"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_replaces_its_own_and_keeps_builds(tmp_path):
    write_folder(tmp_path / "out", FILES, {})
    (tmp_path / "out/build").mkdir()
    (tmp_path / "out/build/firmware.elf").write_bytes(b"elf")
    write_folder(tmp_path / "out", {"c.c": "int c;\n"}, {})
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["build", "c.c", MANIFEST]
    assert (tmp_path / "out/build/firmware.elf").read_bytes() == b"elf"


@pytest.mark.parametrize("change", ["edit", "add"])
def test_refuses_a_folder_with_own_work(tmp_path, change):
    write_folder(tmp_path / "out", FILES, {})
    mine = tmp_path / "out" / ("a.c" if change == "edit" else "mine.c")
    mine.write_text("my work")
    with pytest.raises(InputError, match=mine.name):
        write_folder(tmp_path / "out", FILES, {})
    assert mine.read_text() == "my work"


def test_refuses_foreign_folders_and_files(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    for folder in (tmp_path, tmp_path / "notes.txt", tmp_path / "notes.txt" / "below"):
        with pytest.raises(InputError) as caught:
            write_folder(folder, FILES, {})
        assert caught.value.hint
    assert (tmp_path / "notes.txt").read_text() == "x"


def test_unwritable_folder():
    """Where even root may not make a folder."""
    with pytest.raises(InputError, match="cannot write") as caught:
        write_folder(Path("/proc/tinyml/out"), FILES, {})
    assert caught.value.hint
