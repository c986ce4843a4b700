"""Files appear whole or not at all, and a reader that stops listening is no error."""

import subprocess
import sys
from pathlib import Path

import pytest

from tinyml_sdk.cli.output import STDOUT, check_destination, write_text
from tinyml_sdk.errors import InputError


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    for text in ("first", "second"):
        write_text(path, text)
        assert path.read_text() == text
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_text(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "text"


def test_a_device_is_written_not_replaced() -> None:
    write_text(Path("/dev/null"), "text")
    assert Path("/dev/null").is_char_device()


def test_dash_is_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    write_text(STDOUT, "{}\n")
    assert capsys.readouterr().out == "{}\n"


def test_makes_the_folder(tmp_path: Path) -> None:
    check_destination(tmp_path / "new" / "deep" / "result.json")
    assert not (tmp_path / "new").exists()
    write_text(tmp_path / "new" / "deep" / "result.json", "text")
    assert (tmp_path / "new" / "deep" / "result.json").read_text() == "text"


@pytest.mark.parametrize("name", [".", "file/result.json", "file/deep/result.json", "n" * 300])
def test_unwritable_is_told_before_and_after(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for refuse in (check_destination, lambda path: write_text(path, "text")):
        with pytest.raises(InputError, match="cannot write the file"):
            refuse(tmp_path / name)


def test_a_closed_pipe_is_silent() -> None:
    code = "from tinyml_sdk.cli.output import emit\nfor _ in range(100_000): emit('line\\n')"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_characters_that_the_stream_lacks_are_replaced() -> None:
    code = "from tinyml_sdk.cli.output import emit; emit('…x\\n')"
    environment = {"PYTHONIOENCODING": "ascii", "PATH": ""}
    assert subprocess.check_output([sys.executable, "-c", code], env=environment) == b"?x\n"
