"""What a result must hold to pass: right outputs, limits on its costs, no growth over an older result.

Each check raises the error that says what does not hold. `tinyml bench`, `tinyml compare` and the pytest plugin are
these checks with different faces.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import CheckError, FitError, InputError, MismatchError, RegressionError
from .comparison import Comparison
from .result import BenchResult

__all__ = ["Limits", "check_bit_exact", "check_growth", "check_limits", "parse_percentage"]


@dataclass(frozen=True)
class Limits:
    """The most that a firmware may cost; None where it does not matter.

    Attributes:
        instructions: Of the median inference, where instructions are counted (emulators).
        cycles: The same where cycles are counted (boards).
        flash: Bytes of flash of the whole benchmark firmware.
        ram: Bytes of RAM: arena, static data and the stack's high water.
    """

    instructions: int | None = None
    cycles: int | None = None
    flash: int | None = None
    ram: int | None = None


def parse_percentage(text: str) -> float:
    """`2%`, or `2`, as 0.02.

    Raises:
        InputError: it is no percentage from 0 to 1000.
    """
    try:
        value = float(text.strip().removesuffix("%"))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1000:
        raise InputError(f"{text!r} is not a percentage such as 2%", hint="give a number from 0 to 1000")
    return value / 100


def check_bit_exact(result: BenchResult) -> None:
    """Raise MismatchError, with the first layer that goes wrong where that could be told, unless all outputs are right.

    Every output byte must be the reference's.
    """
    check = result.check
    if check.bit_exact:
        return
    first = ""
    if check.first_divergent_layer is not None:
        layer = result.layers[check.first_divergent_layer]
        first = f", first in layer {layer.index} ({layer.op})"
    raise MismatchError(
        f"{check.differing:,} output elements over {check.inputs:,} inputs differ from {check.reference}'s, "
        f"by at most {check.max_abs_diff:,}{first}",
        where=result.model.file,
        hint="TFLM's optimized kernels differ here from its reference kernels, or the library is of another version"
        if result.runtime == "tflm"
        else "this is a bug: try the other --toolchain to tell the compiler from the kernels, and report the model",
    )


def check_limits(result: BenchResult, limits: Limits) -> None:
    """Check the costs of a firmware, memory first.

    Raises:
        FitError: it takes more flash or RAM than allowed.
        CheckError: an inference takes more instructions or cycles.
        InputError: the limit is in instructions and the target counts cycles, or the other way round; or it is of a
            size that is not known.
    """
    flash = result.flash.total if result.flash is not None else None
    over = []
    for name, used, most in (("flash", flash, limits.flash), ("RAM", result.ram.total, limits.ram)):
        if most is not None and used is None:
            raise InputError(
                f"there is a limit of {name}, and the firmware was built elsewhere: what it takes is not known",
                where=result.model.file,
                hint="leave the limit out, or let tinyml build and flash the firmware",
            )
        if most is not None and used is not None and used > most:
            over.append(f"{name} {used:,} bytes, over the limit of {most:,} by {used - most:,}")
    if over:
        raise FitError(
            "; ".join(over),
            where=result.model.file,
            hint="`tinyml inspect` shows what the weights and the arena take; `tinyml compress` makes it smaller",
        )
    _check_count(result, {"instructions": limits.instructions, "cycles": limits.cycles})


def _check_count(result: BenchResult, limits: dict[str, int | None]) -> None:
    used, most = result.per_inference.median, limits[result.counter]
    if most is None:
        if any(limit is not None for limit in limits.values()):
            raise InputError(
                f"{result.board} ({result.target.name}) counts {result.counter}, and there is no limit for them",
                where=result.model.file,
                hint=f"give max_{result.counter} too: each limit holds where its unit is counted",
            )
        return
    if used > most:
        slowest = max(result.layers, key=lambda layer: layer.count)
        raise CheckError(
            f"an inference takes {used:,} {result.counter}, over the limit of {most:,} by {used - most:,}; "
            f"the most is in layer {slowest.index} ({slowest.op}): {slowest.count:,}",
            where=result.model.file,
            hint="`tinyml inspect --kernels` shows the kernel of each layer and why it was chosen",
        )


def check_growth(comparison: Comparison, most: float, *, where: str = "") -> None:
    """Check that no total and no layer grew by more than `most`, a fraction.

    Raises:
        RegressionError: names each cost that did, before and after. `where` is the newer result.
    """
    regressions = comparison.regressions(most)
    if not regressions:
        return
    grown = "; ".join(f"{cost.name} {cost.old:,} -> {cost.new:,} ({cost.growth:+.1%})" for cost in regressions)
    if comparison.settings:
        grown += f"; not the same in both: {', '.join(comparison.settings)}"
    raise RegressionError(
        f"grew by more than {100 * most:g} %: {grown}",
        where=where or comparison.new.model.file,
        hint="find the change with `git bisect`, or accept it by keeping the new result as the baseline",
    )
