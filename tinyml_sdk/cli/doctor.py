"""`tinyml doctor`: what is installed, what is missing, what to do."""

from __future__ import annotations

from ..errors import MissingToolError
from .output import show

__all__ = ["doctor"]


def doctor() -> None:
    """Say what is installed, what is missing and what to do.

    Exits 3 when something that the default `tinyml bench` needs is missing.
    """
    from ..doctor import diagnose
    from ..report.findings import findings_report

    findings = diagnose()
    show(findings_report(findings))
    lacking = [finding for finding in findings if finding.required and finding.status != "ok"]
    if lacking:
        raise MissingToolError(
            f"`tinyml bench` cannot run without {', '.join(finding.name for finding in lacking)}",
            hint=lacking[0].remedy,
        )
