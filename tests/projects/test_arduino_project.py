"""The real Arduino builder compiles the library and its sketches, and emulators run them.

The builder is arduino-builder, what arduino-cli and the IDE compile with; the platform is the one that a project for an
emulated board brings.
"""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from support.firmware_check import DIGITS, assert_bit_exact, run_bit_exact, run_tool
from support.mlperf_runner import MlperfRunner
from support.tools import emulator_tool, require_tool

from tinyml_sdk import BoardError, generate, inspect_model, load_board
from tinyml_sdk import benchmark as measure
from tinyml_sdk.bench.reference import open_reference
from tinyml_sdk.link import ByteStream, Client, CounterKind
from tinyml_sdk.simulator import BoardSimulator
from tinyml_sdk.targets import open_target
from tinyml_sdk.toolchains import read_sections

SKETCHES = Path(__file__).parent / "sketches"
BOARD = "mps2-an386"
DEBIANS = "/usr/share/arduino-builder"  # where its builder keeps what it must be told of arduino-ctags
WITH_ZIG = {"virt-rv32": "", BOARD: ":toolchain=zig"}


def build(sketch: Path, libraries: Path, platform: Path, board: str = BOARD, *, zig: bool = False) -> Path:
    """The ELF of a sketch, compiled with all warnings; there are none.

    Args:
        sketch: The folder of a sketch, which names it.
        libraries: A folder of libraries, as `Arduino/libraries`.
        platform: The project whose platform builds it.
    """
    require_tool("arduino-builder")
    require_tool("ziglang" if zig else "arm-none-eabi-gcc")
    folder = libraries / f"build-{sketch.name}"
    folder.mkdir()
    said = run_tool(
        *("arduino-builder", "-hardware", platform / "extras" / "hardware"),
        *("-hardware", DEBIANS, "-tools", DEBIANS, "-libraries", libraries),
        *("-fqbn", f"tinyml:{board}:emulated{WITH_ZIG[board] if zig else ''}"),
        *("-warnings", "all", "-build-path", folder, sketch / f"{sketch.name}.ino"),
        cwd=libraries,
        timeout=600,
    )
    assert "warning" not in said.lower(), said
    assert "Sketch uses" in said
    assert "Global variables use" in said
    return folder / f"{sketch.name}.ino.elf"


def printed_lines(elf: Path, board: str, count: int) -> list[str]:
    """The first lines that a sketch prints."""
    with open_target("builtin", load_board(board)) as device:
        device.load(elf)
        return read_lines(device.open(), count)


def read_lines(stream: ByteStream, count: int) -> list[str]:
    said = b""
    end = time.monotonic() + 300
    while said.count(b"\r\n") < count:
        assert time.monotonic() < end, said
        said += stream.read(time.monotonic() + 1)
    return said.decode().split("\r\n")[:count]


def outputs_of_reference(samples: list[np.ndarray]) -> list[list[int]]:
    inspection = inspect_model(DIGITS, BOARD)
    shape = inspection.graph.input_tensors[0].shape
    with ExitStack() as stack:
        outputs = open_reference(DIGITS, inspection, stack).run([[sample.reshape(shape)] for sample in samples])
    return [arrays[0].ravel().tolist() for arrays in outputs]


@pytest.mark.slow
@pytest.mark.parametrize(("board", "zig"), [("mps2-cm0plus", False), ("virt-rv32", True)])
def test_the_benchmark_of_an_emulated_board_is_bit_exact(tmp_path: Path, board: str, zig: bool) -> None:
    require_tool("unicorn")
    library = tmp_path / "digits"
    generate(DIGITS, library, board=board, project="arduino")
    elf = build(library / "examples" / "Benchmark", tmp_path, library, board, zig=zig)
    run_bit_exact(elf, board)


@pytest.mark.slow
def test_the_library_of_a_real_board(tmp_path: Path) -> None:
    """That for an Arduino Nano 33 BLE, on a core of the same kind. The library's folder is called otherwise."""
    require_tool("unicorn")
    require_tool(emulator_tool("qemu", load_board(BOARD)))
    generate(DIGITS, tmp_path / "my-model", board="nano33ble", project="arduino")
    generate(DIGITS, tmp_path / "platform" / "p", board=BOARD, project="arduino")
    examples = tmp_path / "my-model" / "examples"
    benchmark = build(examples / "Benchmark", tmp_path, tmp_path / "platform" / "p")
    with open_target("qemu", load_board(BOARD)) as device:
        device.load(benchmark)
        # Its DWT does not count, and the port finds that out.
        client = Client(device.open(), retry_after=device.retry_after, deadline=120)
        assert_bit_exact(client, "nano33ble", CounterKind.MICROS)
    simulator = BoardSimulator(load_board(BOARD), benchmark)
    with simulator:
        result = measure(DIGITS, board="nano33ble", port=simulator.path, flash=False, elf=benchmark)
    assert result.check.bit_exact
    assert result.counter_resolution == 1, "the DWT of this emulator counts"
    assert result.toolchain.name == "GCC"
    assert result.flash.total == read_sections(benchmark, frozenset()).flash
    assert result.flash.weights == inspect_model(DIGITS, "nano33ble").weight_bytes
    run_once = build(examples / "RunOnce", tmp_path, tmp_path / "platform" / "p")
    zeros = np.zeros(inspect_model(DIGITS, BOARD).graph.input_tensors[0].bytes, np.int8)
    best = int(np.argmax(outputs_of_reference([zeros])[0]))
    for line in printed_lines(run_once, BOARD, 2):
        assert line.startswith(f"largest output: {best}, after ")
        assert line.endswith(" us")


@pytest.mark.slow
def test_two_models_in_a_sketch_of_ones_own(tmp_path: Path) -> None:
    """Twice the same network, so that all that could clash does: its kernels for two cores, for speed and for size."""
    require_tool("unicorn")
    other = shutil.copy(DIGITS, tmp_path / "other.tflite")
    generate(DIGITS, tmp_path / "digits", board="nano33ble", project="arduino")
    generate(other, tmp_path / "other", board="pico", project="arduino", optimize="size")
    generate(DIGITS, tmp_path / "platform" / "p", board=BOARD, project="arduino")
    elf = build(SKETCHES / "TwoModels", tmp_path, tmp_path / "platform" / "p")
    size = inspect_model(DIGITS, BOARD).graph.input_tensors[0].bytes
    samples = [np.arange(size, dtype=np.int64) * step % 256 - 128 for step in range(4)]
    wanted = [
        f"{name} {' '.join(map(str, outputs))}"
        for outputs in outputs_of_reference([sample.astype(np.int8) for sample in samples])
        for name in ("digits", "other")
    ]
    assert printed_lines(elf, BOARD, len(wanted)) == wanted


@pytest.mark.slow
def test_the_application_of_mlperf_tiny(tmp_path: Path) -> None:
    require_tool("unicorn")
    library = tmp_path / "digits"
    generate(DIGITS, library, board=BOARD, project="arduino", app="mlperf")
    elf = build(library / "examples" / "Benchmark", tmp_path, library, zig=True)
    sample = np.arange(inspect_model(DIGITS, BOARD).graph.input_tensors[0].bytes, dtype=np.uint8)
    with open_target("builtin", load_board(BOARD)) as device:
        device.load(elf)
        stream = device.open()
        runner = MlperfRunner(stream.write, lambda: stream.read(time.monotonic() + 1))
        assert runner.until_ready()[-1] == "m-init-done"
        assert runner.model() == "digits"
        runner.load(sample.tobytes())
        results = runner.infer(1, 0).results
    (expected,) = outputs_of_reference([sample.view(np.int8)])
    output = inspect_model(DIGITS, BOARD).graph.output_tensors[0]
    reals = (np.array(expected, np.float32) - output.zero_point) * np.float32(output.scale)
    assert results == pytest.approx([float(f"{real:.3f}") for real in reals], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("board", "exception"), [(BOARD, "3"), ("virt-rv32", "66")])
def test_the_core_of_the_platform(tmp_path: Path, board: str, exception: str) -> None:
    """Constructors, numbers, time, input, and at last a crash: that of an instruction which does not exist."""
    require_tool(emulator_tool("qemu", load_board(board)))
    platform = tmp_path / "platform" / "p"
    generate(DIGITS, platform, board=board, project="arduino")
    elf = build(SKETCHES / "Core", tmp_path, platform, board, zig=board == "virt-rv32")
    with open_target("qemu", load_board(board)) as device:
        device.load(elf)
        stream = device.open()
        assert read_lines(stream, 4) == [
            "constructed 7",
            "-2147483648 4294967295 FF 101 -3.14 0.500 x",
            "milliseconds",
            "microseconds",
        ]
        stream.write(b"a")
        answer, crash = read_lines(stream, 2)
    assert answer == "97 97 -1"
    assert crash.startswith(f"crashed: exception {exception} at 0x")


def test_a_platform_is_part_of_emulated_boards_projects(tmp_path: Path) -> None:
    emulated = generate(DIGITS, tmp_path / "emulated", board=BOARD, project="arduino").files
    real = generate(DIGITS, tmp_path / "real", board="nano33ble", project="arduino").files
    platform = f"extras/hardware/tinyml/{BOARD}/"
    assert {f"{platform}{name}" for name in ("platform.txt", "boards.txt", "cores/tinyml/Arduino.h")} <= set(emulated)
    assert not [name for name in real if name.startswith("extras/")]
    assert f"`tinyml:{BOARD}:emulated`" in emulated["README.md"]
    with pytest.raises(BoardError, match="runtime tflm has no Arduino project"):
        generate(DIGITS, tmp_path / "tflm", board=BOARD, project="arduino", runtime="tflm")
