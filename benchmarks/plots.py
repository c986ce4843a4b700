"""Sweeps as SVG pictures: small, the same bytes for the same costs, legible on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["draw"]

INK = "#808890"
"""Of text and axes: in the middle between white and black, as the page's colour is not known."""

COLOURS = ("#2f81f7", "#e0761a", "#2da44e", "#bf4bb8")
MARKERS = ("o", "s", "^", "D")
TICKS = (0.5, 1, 2, 5, 10, 20)

Lines = Mapping[str, Mapping[float | str, float]]
"""By label of the line, by place on the axis: instructions per multiply-accumulate."""


def draw(path: Path, title: str, axis: str, lines: Lines) -> None:
    """Write one picture. Numbers on the axis are spread by their logarithm, names evenly.

    Args:
        axis: What is along it; empty where it has no order, so that nothing is to be read between two places.
    """
    import matplotlib as mpl

    mpl.use("svg")
    import matplotlib.pyplot as plt

    style: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": path.stem,
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    with mpl.rc_context(style):
        figure, axes = plt.subplots(figsize=(6.4, 2.9), layout="constrained")
        names = list(dict.fromkeys(x for points in lines.values() for x in points))
        named = any(isinstance(name, str) for name in names)
        for (label, points), colour, marker in zip(lines.items(), COLOURS, MARKERS, strict=False):
            places = [names.index(x) if named else x for x in points]
            costs = list(points.values())
            line = "-" if axis else "none"  # no line through places that have no order
            axes.plot(places, costs, ls=line, color=colour, marker=marker, markersize=4, lw=1.3, label=label)
        if named:
            axes.set_xticks(
                range(len(names)),
                [str(name) for name in names],
            )
        else:
            _numbers(axes, [float(name) for name in names])
        _costs(axes, [cost for points in lines.values() for cost in points.values()])
        axes.set_title(title, fontsize=10)
        axes.set_xlabel(axis)
        axes.set_ylabel("instructions per MAC")
        axes.grid(visible=True, color=INK, alpha=0.25, lw=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, labelcolor=INK)
        figure.savefig(path, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        plt.close(figure)


def _numbers(axes: Any, values: list[float]) -> None:
    axes.set_xscale("log", base=2)
    ticks = [2**power for power in range(11) if min(values) <= 2**power <= max(values)]
    axes.set_xticks(ticks, [str(tick) for tick in ticks], minor=False)


def _costs(axes: Any, costs: list[float]) -> None:
    axes.set_yscale("log")
    ticks = [tick for tick in TICKS if min(costs) / 2 < tick < max(costs) * 2]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_ylim(min(*ticks, min(costs) * 0.9), max(*ticks, max(costs) * 1.1))
