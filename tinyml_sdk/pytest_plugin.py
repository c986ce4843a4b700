"""The pytest plugin: "bit exact, fits, no slower" as a test of a firmware repository.

    def test_wake_word(tinyml_bench):
        tinyml_bench("model.tflite", max_flash=64_000, baseline="baseline.json", max_regression="2%")

pytest loads it in every project of an environment that has the SDK, so it imports nothing of the SDK, and does nothing,
until a test asks for one of its fixtures. `pytest -p no:tinyml` turns it off.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from .bench.gate import Limits
    from .bench.result import BenchResult
    from .codegen import Optimize
    from .errors import TinymlError

__all__ = ["TinymlBench"]

DEFAULT_BOARD = "mps2-an386"

_SETTINGS = {  # of the command line and the ini file, with what holds where neither says anything
    "board": (DEFAULT_BOARD, "name or file of the board to run on"),
    "target": ("", "where to run: builtin, qemu or renode; the first that has the board where not said"),
    "toolchain": ("zig", "what to build with: zig, gnu_arm or platformio"),
    "port": ("", "serial port of a real board, or auto, in place of a target"),
}

_MEASURED = pytest.StashKey[list["BenchResult"]]()


class TinymlBench:
    """What the fixture `tinyml_bench` is: a function that measures a model, and fails the test that it is wrong for.

    Attributes:
        board: The board where a call names none.
    """

    def __init__(self, config: pytest.Config, board: str) -> None:
        self.board = board
        self._config = config

    def __call__(
        self,
        model: str | Path,
        *,
        inputs: str | Path | None = None,
        board: str | None = None,
        optimize: str = "speed",
        runs: int = 5,
        max_instructions: int | None = None,
        max_cycles: int | None = None,
        max_flash: int | None = None,
        max_ram: int | None = None,
        baseline: str | Path | None = None,
        max_regression: str = "2%",
    ) -> BenchResult:
        """Build a model for the board, run it there, compare every output byte with the reference, hold it to limits.

        Relative paths start at pytest's root folder, wherever pytest was started.

        Args:
            model: A .tflite file.
            inputs: An .npz file with inputs; made-up inputs of several amplitudes where None.
            board: In place of the fixture `tinyml_board`.
            optimize: `speed` or `size`.
            runs: Least number of inferences to count.
            max_instructions: Of the median inference, on an emulator.
            max_cycles: The same on a real board, which counts cycles.
            max_flash: Bytes of flash of the whole benchmark firmware.
            max_ram: Bytes of RAM: arena, static data and the stack's high water.
            baseline: An older result, as `tinyml bench --json` or `pytest --tinyml-update-baselines` wrote it.
            max_regression: How much more than the baseline a total or a layer may cost.

        Returns:
            The result, for checks of your own.

        Raises:
            pytest.fail.Exception: an output byte differs, the firmware does not fit or is over a limit, something grew
                over the baseline, or it could not be built or run. The message says each of them.
        """
        from .bench.gate import Limits, parse_percentage
        from .errors import TinymlError

        where = f"{model} on {board or self.board}"
        try:
            most = parse_percentage(max_regression)
            result = self._measure(model, inputs, board or self.board, optimize, runs)
        except TinymlError as error:
            _fail(where, [error])
        self._config.stash.setdefault(_MEASURED, []).append(result)
        limits = Limits(instructions=max_instructions, cycles=max_cycles, flash=max_flash, ram=max_ram)
        errors = _errors_of(result, limits)
        if baseline is not None:
            errors += self._baseline_errors(result, self._path(baseline), most, keep=not errors)
        if errors:
            _fail(where, errors)
        return result

    def _measure(
        self, model: str | Path, inputs: str | Path | None, board: str, optimize: str, runs: int
    ) -> BenchResult:
        from .bench.benchmark import benchmark

        own_board = self._path(board)
        return benchmark(
            self._path(model),
            board=own_board if own_board.is_file() else board,
            target=_setting(self._config, "target") or None,
            toolchain=_setting(self._config, "toolchain"),
            optimize=cast("Optimize", optimize),
            runs=runs,
            inputs=None if inputs is None else self._path(inputs),
            port=_setting(self._config, "port") or None,
        )

    def _baseline_errors(self, result: BenchResult, path: Path, most: float, *, keep: bool) -> list[TinymlError]:
        """Compare with the file; or write it, if that is asked for and the result is one to `keep`."""
        from .bench.comparison import compare_results, load_result
        from .bench.gate import check_growth
        from .errors import InputError

        if self._config.getoption("tinyml_update_baselines"):
            if keep:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(result.to_json(), encoding="utf-8")
            return []
        if not path.is_file():
            hint = "write it with `pytest --tinyml-update-baselines`, and commit it"
            return [InputError("there is no such baseline", where=str(path), hint=hint)]

        def compare() -> None:
            old = load_result(path)
            if old.board != result.board:
                hint = "keep one baseline for each board: put the board's name into the file's"
                raise InputError(f"the baseline is of {old.board}, not of {result.board}", where=str(path), hint=hint)
            check_growth(compare_results(old, result), most)

        return _raised(compare)

    def _path(self, path: str | Path) -> Path:
        return self._config.rootpath / path


def _errors_of(result: BenchResult, limits: Limits) -> list[TinymlError]:
    from .bench.gate import check_bit_exact, check_limits

    return [*_raised(lambda: check_bit_exact(result)), *_raised(lambda: check_limits(result, limits))]


def _raised(check: Callable[[], None]) -> list[TinymlError]:
    """What a check raises: a test that fails says all that is wrong at once."""
    from .errors import TinymlError

    try:
        check()
    except TinymlError as error:
        return [error]
    return []


def _fail(where: str, errors: list[TinymlError]) -> None:
    from .cli.errors import describe

    pytest.fail("\n".join([f"tinyml: {where}", *map(describe, errors)]), pytrace=False)


def _setting(config: pytest.Config, name: str) -> str:
    """From the command line, else from the ini file, else the default."""
    return str(config.getoption(f"tinyml_{name}") or config.getini(f"tinyml_{name}") or _SETTINGS[name][0])


@pytest.fixture(scope="session")
def tinyml_board(pytestconfig: pytest.Config) -> str:
    """Name or file of the board: `--tinyml-board`, else `tinyml_board` of the ini file, else mps2-an386."""
    return _setting(pytestconfig, "board")


@pytest.fixture(scope="session")
def tinyml_bench(pytestconfig: pytest.Config, tinyml_board: str) -> TinymlBench:
    """A function that builds a model, runs it on the board, and fails unless it is bit exact and within its limits."""
    return TinymlBench(pytestconfig, tinyml_board)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Each setting as an option and as a line of the ini file."""
    group = parser.getgroup("tinyml", "neural networks on microcontrollers (tinyml-sdk)")
    for name, (default, text) in _SETTINGS.items():
        text_with_default = f"{text} [default: {default or 'none'}]"
        group.addoption(f"--tinyml-{name}", dest=f"tinyml_{name}", metavar=name.upper(), help=text_with_default)
        parser.addini(f"tinyml_{name}", help=text_with_default, default="")
    group.addoption(
        "--tinyml-update-baselines",
        dest="tinyml_update_baselines",
        action="store_true",
        help="write the baselines of tinyml_bench(…, baseline=…) in place of comparing with them",
    )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line for each measurement, for the log."""
    results = config.stash.get(_MEASURED, [])
    if results:
        from .report.measurement import measurement_line

        terminalreporter.section("tinyml")
        for result in results:
            terminalreporter.line(measurement_line(result))
