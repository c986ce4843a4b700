"""Whether an ELF that some other build system made is the firmware that `tinyml bench` would have built."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from tinyml_sdk import inspect_model
from tinyml_sdk.bench.check import compare_outputs
from tinyml_sdk.bench.inputs import check_inputs
from tinyml_sdk.bench.reference import open_reference
from tinyml_sdk.bench.session import Measurement, measure
from tinyml_sdk.bench.transfer import read_outputs, write_inputs
from tinyml_sdk.link import Client, CounterKind
from tinyml_sdk.targets import open_target

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"


def run_bit_exact(elf: Path, board: str, model: Path = DIGITS) -> Measurement:
    """Run an ELF in the builtin emulator on the usual inputs. Fails where an output byte differs from the reference."""
    inspection = inspect_model(model, board)
    samples = check_inputs(inspection.graph.input_tensors)
    with ExitStack() as stack:
        expected = open_reference(model, inspection, stack).run(samples)
        assert inspection.board is not None
        device = stack.enter_context(open_target("builtin", inspection.board))
        measurement = measure(device, elf, inspection.graph, inspection.board, samples, 1, lambda *_: None)
    assert compare_outputs("reference", expected, measurement.outputs).bit_exact
    return measurement


def assert_bit_exact(client: Client, board: str, counter: CounterKind, model: Path = DIGITS) -> None:
    """What answers was made for that board, counts with that counter, and every output byte is the reference's."""
    inspection = inspect_model(model, board)
    samples = check_inputs(inspection.graph.input_tensors)
    with ExitStack() as stack:
        expected = open_reference(model, inspection, stack).run(samples)
    assert client.info().board == board
    assert client.info().counter is counter
    outputs = []
    for arrays in samples:
        write_inputs(client, arrays)
        client.invoke(1)
        outputs.append(read_outputs(client, inspection.graph))
    assert len(client.profile()) == len(inspection.layers)
    assert compare_outputs("reference", expected, outputs).bit_exact


def run_tool(*command: object, cwd: Path, timeout: float = 900, **variables: str) -> str:
    """Run a program that finds this environment's Python and packages first. Returns what it printed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, "PATH": path, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
