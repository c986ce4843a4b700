"""A command in a child: its exit code, its end by force as one error, and Ctrl-C on either side."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tinyml_sdk.cli import supervision
from tinyml_sdk.errors import ToolError

ROOT = Path(__file__).resolve().parents[2]
ABSL = (
    "F0000 00:00:1795698396.199800   23102 env.cc:84] Check failed: ret == 0 (11 vs. 0) No thread.\\n"
    "*** Check failure stack trace: ***\\n    @     0x7f18a7b1d314  absl::SendToLog()\\n"
)
# A command that takes a while, and ends as it should when it is interrupted.
PATIENT = """
import os, sys, time
from pathlib import Path
sys.path[0] = {root!r}
import tinyml_sdk.cli as cli
from tinyml_sdk.cli.errors import run_guarded
from tinyml_sdk.cli.supervision import serve
def patient(arguments):
    print(*arguments, flush=True)
    if "STARTED" in os.environ:
        Path(os.environ["STARTED"]).touch()
    time.sleep(600)
cli.main = lambda arguments: run_guarded(lambda: patient(arguments), lambda: False)
sys.exit(serve({words}, sys.argv[1:]))
"""


def run(monkeypatch: pytest.MonkeyPatch, code: str, *arguments: str) -> int:
    monkeypatch.setattr(supervision, "_START", code)
    return supervision.do_in_child(arguments, where="tinyml compress", hint="lower batch_size")


def test_the_childs_exit_code(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(monkeypatch, "import sys; print(sys.argv[1:], {words} > 2); sys.exit(3)", "a b", "--c") == 3
    assert capfd.readouterr().out == "['a b', '--c'] True\n"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("os.kill(os.getpid(), 9)", "was killed, most likely for lack of memory"),
        (
            f'os.write({{words}}, b"{ABSL}"); os.abort()',
            "TensorFlow crashed (SIGABRT): Check failed: ret == 0 (11 vs. 0) No thread.",
        ),
        ("os.abort()", "TensorFlow crashed (SIGABRT)"),
    ],
)
def test_a_violent_end_is_one_error(monkeypatch: pytest.MonkeyPatch, code: str, said: str) -> None:
    with pytest.raises(ToolError) as caught:
        run(monkeypatch, f"import os, resource; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); {code}")
    assert (caught.value.message, caught.value.hint) == (said, "lower batch_size")


def test_ctrl_c_is_passed_on(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    started = tmp_path / "started"

    def press_ctrl_c() -> None:
        while not started.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setenv("STARTED", str(started))
    try:
        threading.Thread(target=press_ctrl_c, daemon=True).start()
        assert run(monkeypatch, PATIENT, "patience") == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert capfd.readouterr() == ("patience\n", "interrupted\n")


def test_a_child_ends_with_its_parent() -> None:
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path[0] = {str(ROOT)!r}
from tinyml_sdk.cli import supervision
supervision._START = {PATIENT!r}
supervision.do_in_child(["started"], where="", hint="")
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        parent.kill()
        start = time.monotonic()
        assert parent.stdout.read() == b"", "the child has closed its end"
        assert time.monotonic() - start < supervision.GRACE_S, "it was interrupted, and not ended by force"
