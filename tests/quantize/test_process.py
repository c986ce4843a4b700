"""The worker may crash, hang, fail or be missing: each is one error. Other code than TensorFlow plays it here."""

import os
import sys
from pathlib import Path

import pytest

from tinyml_sdk import quantize_model
from tinyml_sdk.errors import InputError, MissingToolError, ToolError
from tinyml_sdk.quantize import process
from tinyml_sdk.quantize.job import Job
from tinyml_sdk.quantize.process import Conversation, Worker

LOADED = """input(); print('{"event": "loaded", "inputs": []}', flush=True);"""


def converse(
    monkeypatch: pytest.MonkeyPatch, folder: Path, code: str, deadline: float = 20.0, times: int = 1
) -> list[str]:
    """Load and convert with a worker that runs `code`; the stages it reported."""
    monkeypatch.setattr(process, "_START", code.replace("{", "{{").replace("}", "}}"))
    monkeypatch.setattr(process, "require_tensorflow", lambda: None)
    stages: list[str] = []
    job = Job("m.keras", "m.keras")
    with Worker() as worker:
        for _ in range(times):
            with Conversation(worker, folder, job, deadline, lambda stage, *_: stages.append(stage)) as conversation:
                conversation.wait_loaded()
                conversation.convert()
    return stages


def test_a_conversation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = (
        LOADED + """input(); print('{"event": "progress", "stage": "s", "done": 0, "total": 1}\\n{"event": "done"}')"""
    )
    assert converse(monkeypatch, tmp_path, code) == ["s"]


def test_one_process_for_several_jobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = f"""
import os
while True:
    {LOADED}
    input(); print('{{"event": "progress", "stage": "' + str(os.getpid()) + '", "done": 0, "total": 1}}')
    print('{{"event": "done"}}', flush=True)
"""
    first, second = converse(monkeypatch, tmp_path, code, times=2)
    assert first == second


def test_a_job_that_is_refused_does_not_end_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = """
while input():
    print('{"event": "error", "kind": "InputError", "message": "is bad", "where": "m", "hint": "h"}', flush=True)
"""
    monkeypatch.setattr(process, "_START", code.replace("{", "{{").replace("}", "}}"))
    monkeypatch.setattr(process, "require_tensorflow", lambda: None)
    found = []
    with Worker() as worker:
        for _ in range(2):
            with (
                pytest.raises(InputError, match="m: is bad"),
                Conversation(worker, tmp_path, Job("m", "m"), 20, lambda *_: None) as conversation,
            ):
                conversation.wait_loaded()
            found.append(worker.pid)
    assert found[0] == found[1] is not None


def test_a_new_process_after_a_crash(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "require_tensorflow", lambda: None)
    with Worker() as worker:
        for code, good in (("raise SystemExit", False), (LOADED + "input()", True)):
            monkeypatch.setattr(process, "_START", code.replace("{", "{{").replace("}", "}}"))
            with Conversation(worker, tmp_path, Job("m", "m"), 20, lambda *_: None) as conversation:
                if good:
                    assert conversation.wait_loaded()["inputs"] == []
                else:
                    with pytest.raises(ToolError):
                        conversation.wait_loaded()


@pytest.mark.parametrize("before", ["", LOADED], ids=["loading", "converting"])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os; os.kill(os.getpid(), 11)", r"crashed \(SIGSEGV\)"),
        ("import os; os.kill(os.getpid(), 6)", r"crashed \(SIGABRT\)"),
        ("import os; os.kill(os.getpid(), 9)", "lack of memory"),
        ("raise RuntimeError('the reason')", "failed: RuntimeError: the reason"),
        ("print('{\"event\": \"do', end='')", "failed"),
    ],
    ids=["segfault", "abort", "killed", "exception", "cut off"],
)
def test_every_end_is_one_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, before: str, code: str, said: str
) -> None:
    with pytest.raises(ToolError, match=said) as caught:
        converse(monkeypatch, tmp_path, before + code)
    assert caught.value.where == "m.keras"
    assert caught.value.hint


def test_deadline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"no result within 0\.3 s"):
        converse(monkeypatch, tmp_path, LOADED + "import time; time.sleep(60)", deadline=0.3)


def test_an_error_of_the_worker_keeps_its_class(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    code = """print('{"event": "error", "kind": "InputError", "message": "is bad", "where": "m", "hint": "h"}')"""
    with pytest.raises(InputError, match="m: is bad") as caught:
        converse(monkeypatch, tmp_path, code)
    assert caught.value.hint == "h"


def test_the_process_ends_with_the_block(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process, "_START", "import time; time.sleep(60)")
    monkeypatch.setattr(process, "require_tensorflow", lambda: None)
    with (
        pytest.raises(KeyboardInterrupt),
        Worker() as worker,
        Conversation(worker, tmp_path, Job("m", "m"), 60, lambda *_: None),
    ):
        worker.send("folder")
        pid = worker.pid
        raise KeyboardInterrupt
    with pytest.raises(ProcessLookupError):
        os.kill(pid or 0, 0)


@pytest.mark.parametrize("package", ["tensorflow", "keras"])
def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, package: str) -> None:
    for name in ("model.keras", "c.npz"):
        (tmp_path / name).write_bytes(b"")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingToolError) as caught:
        quantize_model(tmp_path / "model.keras", tmp_path / "c.npz")
    assert caught.value.hint == 'pip install "tinyml-sdk[keras]"'
