"""`--app mlperf`: the firmware as MLPerf Tiny's runner meets it behind a port, and as a program under sanitizers."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
import serial
from support.corpus import corpus_model, without_corpus
from support.host_c import FLAGS
from support.mlperf_runner import MlperfRunner
from support.simulated import DIGITS
from support.tools import TARGET_TOOLS, TOOLCHAIN_TOOLS, require_tool

from tinyml_sdk import ModelError, build_firmware, generate, inspect_model, load_board
from tinyml_sdk.bench.reference import open_reference
from tinyml_sdk.cli import main
from tinyml_sdk.codegen import generate_host_program, generate_model, write_folder
from tinyml_sdk.codegen.mlperf import mlperf_task
from tinyml_sdk.graph import DType
from tinyml_sdk.link import SubprocessStream
from tinyml_sdk.resources import templates_dir
from tinyml_sdk.simulator import BoardSimulator

BOARD = "mps2-an386"
TASKS = {
    "kws": ("kws01", "bytes", "scores"),
    "vww": ("vww01", "pixels", "scores"),
    "ic": ("ic01", "pixels", "scores"),
    "ad": ("ad01", "floats", "error"),
}


@contextmanager
def runner_on_port(model: Path, folder: Path, *, target: str = "builtin", board: str = BOARD, toolchain: str = "zig"):
    """The runner on the port of a simulated board; yields it, and the boot text's lines."""
    require_tool(TOOLCHAIN_TOOLS[toolchain])
    require_tool(TARGET_TOOLS[target])
    elf = build_firmware(model, folder, board=board, toolchain=toolchain, app="mlperf").elf
    with ExitStack() as stack:
        simulator = BoardSimulator(load_board(board), elf, target=target)
        port = stack.enter_context(serial.Serial(simulator.path, 115_200, timeout=0.1))
        stack.enter_context(simulator)
        runner = MlperfRunner.on_port(port)
        yield runner, runner.until_ready()
        assert simulator.error is None


def inputs_of(model: Path, count: int) -> list[bytes]:
    """What the runner's data files may hold, of several amplitudes."""
    graph = inspect_model(model).graph
    chance = np.random.default_rng(1)
    size = graph.input_tensors[0].bytes
    if mlperf_task(graph).loads == "floats":
        return [(chance.normal(0, amplitude, size)).astype("<f4").tobytes() for amplitude in (3, 20, 0.1)[:count]]
    kinds = (chance.integers(0, 256, size), chance.integers(100, 140, size), np.full(size, 7))
    return [kind.astype(np.uint8).tobytes() for kind in kinds[:count]]


def expected(model: Path, loaded: list[bytes]) -> list[list[float]]:
    """What the reference's outputs are in the runner's units: from the reference submission's arithmetic, in NumPy."""
    inspection = inspect_model(model)
    graph = inspection.graph
    task, given, computed = mlperf_task(graph), graph.input_tensors[0], graph.output_tensors[0]
    reals = [np.frombuffer(data, "<f4") for data in loaded] if task.loads == "floats" else []
    if task.loads == "floats":
        scaled = [real / np.float32(given.scale) for real in reals]
        away = [np.trunc(value + np.copysign(np.float32(0.5), value)) for value in scaled]
        stored = [np.clip(value + given.zero_point, -128, 127).astype(np.int8) for value in away]
    else:
        raw = [np.frombuffer(data, np.uint8) for data in loaded]
        stored = [data.view(np.int8) if task.loads == "bytes" else (data ^ 0x80).view(np.int8) for data in raw]
    with ExitStack() as stack:
        reference = open_reference(model, inspection, stack)
        outputs = reference.run([[array.reshape(given.shape)] for array in stored])
    values = [(output[0].astype(np.float32) - computed.zero_point) * np.float32(computed.scale) for output in outputs]
    if task.prints == "scores":
        return [[float(f"{value:.3f}") for value in output.ravel()] for output in values]
    return [[float(np.mean((output.ravel() - real) ** 2))] for output, real in zip(values, reals, strict=True)]


def assert_measured(runner: MlperfRunner, model: Path, count: int, clock_hz: int) -> None:
    """Accuracy mode and performance mode, as the runner's scripts have them."""
    task = mlperf_task(inspect_model(model).graph)
    loaded = inputs_of(model, count)
    for data, wanted in zip(loaded, expected(model, loaded), strict=True):
        runner.load(data)
        first = runner.infer(1, 0)
        many = runner.infer(4, 2)
        # A sum of 640 squares in float32 is right to the third decimal place or one beside it.
        tolerance = 1e-6 if task.prints == "scores" else 1e-3 + 1e-5 * wanted[0]
        assert first.results == pytest.approx(wanted, abs=tolerance)
        assert many.results == first.results, "the input is written anew before each inference"
        assert many.elapsed_us == pytest.approx(4 * first.elapsed_us, rel=0.02, abs=8)
        assert first.elapsed_us * clock_hz / 1e6 > 20


@pytest.mark.slow
@pytest.mark.parametrize(("target", "toolchain"), [("builtin", "zig"), ("qemu", "gnu_arm")])
def test_digits_behind_a_port(tmp_path: Path, target: str, toolchain: str) -> None:
    with runner_on_port(DIGITS, tmp_path / "p", target=target, toolchain=toolchain) as (runner, boot):
        assert boot[0] == "m-timestamp-mode-performance"
        assert boot[-1] == "m-init-done"
        assert runner.name() == BOARD
        assert runner.model() == "digits"
        assert_measured(runner, DIGITS, 3, 25_000_000)


@pytest.mark.slow
def test_the_smallest_board(tmp_path: Path) -> None:
    """A Cortex-M0: no FPU, no division, no 64-bit multiplication."""
    with runner_on_port(DIGITS, tmp_path / "p", board="microbit") as (runner, _):
        assert_measured(runner, DIGITS, 1, 16_000_000)


@pytest.mark.slow
@without_corpus
@pytest.mark.parametrize("name", TASKS)
def test_the_four_benchmarks_behind_a_port(tmp_path: Path, name: str) -> None:
    model = corpus_model(f"mlperf_tiny/{name}")
    with runner_on_port(model, tmp_path / "p") as (runner, _):
        assert runner.model() == TASKS[name][0]
        assert_measured(runner, model, 1 if name == "vww" else 2, 25_000_000)


@without_corpus
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "vww" else ()) for name in TASKS]
)
def test_the_four_benchmarks_are_recognised(name: str) -> None:
    task = mlperf_task(inspect_model(corpus_model(f"mlperf_tiny/{name}")).graph)
    assert (task.model, task.loads, task.prints) == TASKS[name]


# -- as a program of this machine ---------------------------------------------------------------------------------


APP = templates_dir() / "app_mlperf"
PRINTER = """
#include <stdio.h>
#include "port.h"
#include "print.h"
void port_write(const uint8_t *data, size_t size) { fwrite(data, 1, size, stdout); }
int main(void) {
  float value;
  while (fread(&value, sizeof value, 1, stdin) == 1) { print_thousandths(value); print("\\n"); }
  return 0;
}
"""


def build(program: Path, *arguments: object) -> Path:
    require_tool("gcc")
    command = ["gcc", *FLAGS, *map(str, arguments), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return program


def test_numbers_are_printed_as_printf_does(tmp_path: Path) -> None:
    (tmp_path / "printer.c").write_text(PRINTER)
    includes = (f"-I{APP}", f"-I{APP.parent / 'app'}")
    printer = build(tmp_path / "printer", *includes, tmp_path / "printer.c", APP / "print.c")
    chance = np.random.default_rng(3)
    below = 0x53800000  # the bits of 2^40
    values = np.concatenate(
        [
            chance.integers(0, below, 20_000, dtype=np.uint32).view(np.float32),
            chance.integers(-(2**20), 2**20, 20_000).astype(np.float32) / 2**13,  # among them ties
            np.arange(-300, 300, dtype=np.float32) / 256,
            np.array([0.0, -0.0, 1e-45, 0.0005, 0.9995, 999.9995], np.float32),
        ]
    )
    said = subprocess.run([printer], input=values.astype("<f4").tobytes(), capture_output=True, check=True).stdout
    wanted = [f"{value:.3f}" for value in values.astype(float)]
    assert said.decode().split() == wanted
    odd = np.array([np.nan, np.inf, -np.inf, 2e12], np.float32)
    said = subprocess.run([printer], input=odd.astype("<f4").tobytes(), capture_output=True, check=True).stdout
    assert {number.lstrip("-") for number in said.decode().split()} == {"1099511627776.000"}


@contextmanager
def host_runner(model: Path, folder: Path):
    """The runner on the firmware's files as a program of this machine, watched by the sanitizers."""
    inspection = inspect_model(model)
    source = generate_model(inspection.graph, inspection.layers, inspection.plan)
    project = generate_host_program(inspection.graph, source, "mlperf")
    write_folder(folder, project.files, project.manifest)
    includes = [f"-I{folder / name}" for name in project.include_dirs]
    program = build(folder / "program", *includes, *(folder / name for name in project.sources))
    with SubprocessStream([program]) as stream:
        runner = MlperfRunner(stream.write, lambda: stream.read(time.monotonic() + 0.1))
        runner.until_ready()
        yield runner


def test_what_is_wrong_is_said_and_does_no_harm(tmp_path: Path) -> None:
    with host_runner(DIGITS, tmp_path / "p") as runner:
        for command, answer in [
            ("", "e-[Unknown command: ]"),
            ("nonsense 1", "e-[Unknown command: nonsense]"),
            ("nam", "e-[Unknown command: nam]"),
            ("names", "e-[Unknown command: names]"),
            ("db", "e-[Command 'db' requires a subcommand]"),
            ("db load", "e-[Command 'db load' requires a number of bytes above 0]"),
            ("db load 0", "e-[Command 'db load' requires a number of bytes above 0]"),
            ("db load -1", "e-[Command 'db load' requires a number of bytes above 0]"),
            ("db load 99999999999", "e-[Command 'db load' requires a number of bytes above 0]"),
            ("db load 65", "e-[Supplied buffer size 65 exceeds maximum of 64]"),
            ("db 00", "e-[More bytes than 'db load' announced]"),
            ("infer 1 0", "e-[Input db has 0 bytes, expected 64]"),
            ("infer 0 0", "e-[Inference iterations must be >0]"),
            ("infer 1 -1", "e-[Inference warmup must be >=0]"),
            ("db load 3", "m-[Expecting 3 bytes]"),
            ("db 0", "e-[A byte is two hex digits]"),
            ("db 0g", "e-[A byte is two hex digits]"),
            ("db 0a1", "e-[A byte is two hex digits]"),
            ("db B2ffffff", "m-load-done"),
            ("db print", "m-buffer-0a-b2-ff"),
            ("db 00", "e-[More bytes than 'db load' announced]"),
            ("infer", "e-[Input db has 3 bytes, expected 64]"),
            ("x" * 81, "e-[Command of more than 80 characters]"),
            ("x" * 5000, "e-[Command of more than 80 characters]"),
            ("\r\nname", "m-name-dut-[host]"),
        ]:
            assert runner.send(command) == [answer], command
        assert len(runner.send("help")) == 9
        assert runner.send("timestamp") == ["m-lap-us-0"]
        runner.load(bytes(range(64)))
        assert runner.send("db print")[1] == "m-buffer-08-09-0a-0b-0c-0d-0e-0f"
        assert runner.infer(1, 0).results == expected(DIGITS, [bytes(range(64))])[0]
        assert len(runner.send("results")) == 1


@pytest.mark.slow
@without_corpus
def test_floats_that_saturate_and_are_no_numbers(tmp_path: Path) -> None:
    model = corpus_model("mlperf_tiny/ad")
    odd = np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0.0, -0.0, 1e-40], "<f4")
    with host_runner(model, tmp_path / "p") as runner:
        runner.load(np.resize(odd, 640).tobytes())
        assert runner.infer(1, 1).results
        loaded = inputs_of(model, 2)
        for data, wanted in zip(loaded, expected(model, loaded), strict=True):
            runner.load(data)
            assert runner.infer(1, 0).results == pytest.approx(wanted, rel=1e-5, abs=1e-3)


# -- what is generated --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("board", "kind", "folder"),
    [
        ("nucleo_l4r5zi", "baremetal", "app"),
        ("mps2-an386", "cmake", "app"),
        ("nucleo_l4r5zi", "platformio", "src"),
        ("esp32-c3-devkitm-1", "esp_idf", "main"),
        ("nano33ble", "arduino", "examples/Benchmark/src"),
    ],
)
def test_every_kind_of_project_has_it(tmp_path: Path, board: str, kind: str, folder: str) -> None:
    files = generate(DIGITS, tmp_path / "p", board=board, project=kind, app="mlperf").files
    assert f"{folder}/tensors.c" in files
    assert f"{folder}/frame.c" not in files
    assert any("MLPerf Tiny's runner" in text for name, text in files.items() if name.endswith("README.md"))
    assert not any("tinyml bench" in text for text in files.values())


def test_a_model_that_the_runner_cannot_feed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    graph = inspect_model(DIGITS).graph
    tensors = list(graph.tensors)
    tensors[graph.inputs[0]] = tensors[graph.inputs[0]].__class__(
        **{**vars(tensors[graph.inputs[0]]), "dtype": DType.INT16}
    )
    wrong = graph.__class__(**{**vars(graph), "tensors": tuple(tensors)})
    with pytest.raises(ModelError, match="an input of int16") as caught:
        mlperf_task(wrong)
    assert "--app" in caught.value.hint
    assert main(["generate", str(DIGITS), "-o", str(tmp_path / "p"), "--app", "mlpref", "--board", BOARD]) == 2
    assert "did you mean mlperf?" in capsys.readouterr().err
    assert main(["generate", str(DIGITS), "-o", str(tmp_path / "p"), "--app", "mlperf"]) == 2
    assert "--app needs --board" in capsys.readouterr().err
