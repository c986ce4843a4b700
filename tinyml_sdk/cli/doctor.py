"""`tinyml doctor`: what is installed, what is missing, what to do; and what is wrong with a board on a port."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import MissingToolError, TargetError
from .options import PortOption
from .output import show

__all__ = ["doctor"]


def doctor(
    port: PortOption = None,
    board: Annotated[
        str | None, typer.Option("--board", "-b", metavar="BOARD", help="With --port: the board that should be there.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="With --port: the .tflite file whose firmware should run.")
    ] = None,
) -> None:
    """Say what is installed, what is missing and what to do.

    With --port it goes through everything that may be wrong with a board there. Exits 3 when something that the
    default `tinyml bench` needs is missing, or the board does not work.
    """
    if port is not None:
        _examine_port(port, board, model)
        return
    if board is not None or model is not None:
        raise typer.BadParameter("--board and --model need --port")
    from ..doctor import diagnose
    from ..report.findings import findings_report

    findings = diagnose()
    show(findings_report(findings))
    lacking = [finding for finding in findings if finding.required and finding.status != "ok"]
    if lacking:
        raise MissingToolError(
            f"`tinyml bench` cannot run without {', '.join(finding.name for finding in lacking)}",
            hint="; ".join(finding.remedy for finding in lacking),
        )


def _examine_port(port: str, board: str | None, model: Path | None) -> None:
    from ..port_doctor import diagnose_port
    from ..report.findings import findings_report

    findings = diagnose_port(port, board=board, model=model)
    show(findings_report(findings))
    broken = [finding for finding in findings if finding.status != "ok"]
    if broken:
        raise TargetError(f"{broken[0].name}: {broken[0].detail}", where=port, hint=broken[0].remedy)
