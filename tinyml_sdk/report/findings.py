"""The report of `tinyml doctor`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..doctor import Finding

__all__ = ["findings_report"]

_STYLES = {"ok": "green", "missing": "yellow", "broken": "bold red"}


def findings_report(findings: Sequence[Finding]) -> RenderableType:
    """One line a finding, and below it what to do where something is to be done."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for finding in findings:
        style = _STYLES[finding.status] if finding.required or finding.status != "missing" else "dim"
        table.add_row(Text(finding.status, style), Text(finding.name, "bold"), _detail(finding))
    return Group(table)


def _detail(finding: Finding) -> Text:
    if finding.status == "ok":
        return Text(finding.detail)
    return Text.assemble(
        finding.detail, "\n", (f"for {finding.needed_for}", "dim"), "\n", ("-> ", "cyan"), finding.remedy
    )
