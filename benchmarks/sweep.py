"""How the cost of a layer grows with its geometry: instructions per multiply-accumulate of single layers.

    python -m benchmarks.sweep [--core cortex-m4] [--only NAME ...] [--json out/sweep.json] [--plot docs]

Every point is a model of one layer, built with zig for the core, run in the builtin emulator, and compared with
TensorFlow Lite Micro. Points that are known are taken from the JSON file, so a stopped run goes on; delete it after a
change of kernels. Plots need the extra `benchmark`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from .kernels.measuring import Setting, measure_ours
from .single_layer import SingleLayer, Sparsity

__all__ = ["SWEEPS", "Line", "Point", "Sweep"]

CHANNELS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 15, 16, 17, 20, 24, 31, 32, 33, 48, 64)
DEPTHS = (1, 2, 3, 4, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 128, 129, 256, 257, 512, 513, 1024)
IMAGES = (1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 16, 17, 24, 32, 48, 64, 96)
KERNELS = ((1, 1), (1, 3), (3, 1), (2, 2), (3, 3), (4, 4), (5, 5), (7, 7), (10, 4))
SPARSITIES: tuple[Sparsity, ...] = (0.0, 0.25, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, "2:4", "1x4")

BOARDS = {
    "cortex-m0plus": "mps2-cm0plus",
    "cortex-m3": "mps2-an385",
    "cortex-m4": "mps2-an386",
    "cortex-m7": "mps2-an500",
    "cortex-m33": "mps2-an505",
    "riscv32imc": "virt-rv32",
}
"""Emulated ones with room for any of the layers."""

CONV = SingleLayer("CONV_2D", 16, 16, (16, 16), (3, 3))
POINTWISE = SingleLayer("CONV_2D", 16, 16, (16, 16))
DEPTHWISE = SingleLayer("DEPTHWISE_CONV_2D", 16, 16, (16, 16), (3, 3))
MATRIX = SingleLayer("FULLY_CONNECTED", 128, 128)


@dataclass(frozen=True)
class Point:
    """One layer, where it stands on the axis."""

    x: float | str
    layer: SingleLayer


@dataclass(frozen=True)
class Line:
    """A kind of layer over the axis."""

    label: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Sweep:
    """One plot."""

    title: str
    axis: str
    lines: tuple[Line, ...]


def _line(label: str, layers: dict[float | str, SingleLayer]) -> Line:
    return Line(label, tuple(Point(x, layer) for x, layer in layers.items()))


def _over_channels(layer: SingleLayer, counts: tuple[int, ...] = CHANNELS) -> dict[float | str, SingleLayer]:
    return {count: replace(layer, inputs=count, outputs=count) for count in counts}


def _over_kernels(layer: SingleLayer) -> dict[float | str, SingleLayer]:
    return {f"{height}x{width}": replace(layer, kernel=(height, width)) for height, width in KERNELS}


def _over_images(layer: SingleLayer) -> dict[float | str, SingleLayer]:
    return {size: replace(layer, image=(size, size), inputs=8, outputs=8) for size in IMAGES}


def _over_strides(layer: SingleLayer) -> dict[float | str, SingleLayer]:
    return {f"stride {step}": replace(layer, stride=step) for step in (2, 3)}


def _over_dilations(layer: SingleLayer) -> dict[float | str, SingleLayer]:
    return {f"dilation {step}": replace(layer, dilation=step) for step in (2, 3)}


def _over_sparsity(layer: SingleLayer) -> dict[float | str, SingleLayer]:
    return {
        (f"{share:.0%}" if isinstance(share, float) else share): replace(layer, sparsity=share) for share in SPARSITIES
    }


SWEEPS = {
    "channels": Sweep(
        "Channels, 16x16 image",
        "channels, in and out",
        (
            _line("convolution 3x3", _over_channels(CONV)),
            _line("pointwise", _over_channels(POINTWISE)),
            _line("depthwise 3x3", _over_channels(DEPTHWISE)),
        ),
    ),
    "matrix": Sweep(
        "Fully connected",
        "inputs, or outputs",
        (
            _line("inputs, 32 outputs", {n: SingleLayer("FULLY_CONNECTED", n, 32) for n in DEPTHS}),
            _line("outputs, 64 inputs", {n: SingleLayer("FULLY_CONNECTED", 64, n) for n in DEPTHS[:-4]}),
        ),
    ),
    "kernels": Sweep(
        "Kernel size, 16 channels, 16x16 image",
        "kernel, height x width",
        (_line("convolution", _over_kernels(CONV)), _line("depthwise", _over_kernels(DEPTHWISE))),
    ),
    "images": Sweep(
        "Image size, 8 channels",
        "height and width",
        (
            _line("convolution 3x3", _over_images(CONV)),
            _line("pointwise", _over_images(POINTWISE)),
            _line("depthwise 3x3", _over_images(DEPTHWISE)),
        ),
    ),
    "steps": Sweep(
        "Stride, dilation, depth multiplier: 16 channels, 16x16 image",
        "",
        (
            _line("convolution 3x3", {"plain": CONV, **_over_strides(CONV), **_over_dilations(CONV)}),
            _line("pointwise", {"plain": POINTWISE, **_over_strides(POINTWISE)}),
            _line(
                "depthwise 3x3",
                {
                    "plain": DEPTHWISE,
                    **_over_strides(DEPTHWISE),
                    **_over_dilations(DEPTHWISE),
                    **{f"multiplier {n}": replace(DEPTHWISE, outputs=16 * n) for n in (2, 3, 4)},
                },
            ),
        ),
    ),
    "sparsity": Sweep(
        "Zero weights",
        "share of weights that are zero, or pattern; MACs of the dense layer",
        (
            _line("convolution 3x3, 16 → 16", _over_sparsity(CONV)),
            _line("pointwise, 64 → 64", _over_sparsity(replace(POINTWISE, inputs=64, outputs=64, image=(8, 8)))),
            _line("fully connected, 128 → 128", _over_sparsity(MATRIX)),
        ),
    ),
}


# -- measuring ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Of one layer: instructions of an inference, the dense layer's multiply-accumulates, kernel, estimated cycles."""

    instructions: int
    macs: int
    kernel: str
    cycles: int | None = None

    @property
    def per_mac(self) -> float:
        """Instructions for each multiply-accumulate."""
        return self.instructions / self.macs


class Measurements:
    """Costs by layer and core, kept in a JSON file."""

    def __init__(self, path: Path, core: str) -> None:
        self._path = path
        self._core = core
        self._known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}

    def measure(self, layer: SingleLayer) -> Cost:
        """The cost of a layer, measured unless it is known. Raises SystemExit when an output byte is wrong."""
        key = f"{self._core}: {layer}"
        if key not in self._known:
            self._known[key] = self._measure(layer)
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(self._known, indent=1) + "\n", encoding="utf-8")
        return Cost(**self._known[key])

    def _measure(self, layer: SingleLayer) -> dict[str, int | str | None]:
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder) / "layer.tflite"
            model.write_bytes(layer.build())
            counted = measure_ours(model, Setting(BOARDS[self._core]), inputs=2)
        if not counted.equal:
            raise SystemExit(f"{layer} is not bit exact")
        (only,) = counted.layers
        note(f"{layer}: {only.count / layer.macs:.2f}")
        cycles = counted.cycles.layers[0] if counted.cycles else None
        return {"instructions": only.count, "macs": layer.macs, "kernel": only.kernel, "cycles": cycles}


TYPICAL = {
    "convolution 3x3, 16 → 16, 16x16": CONV,
    "pointwise, 64 → 64, 8x8": replace(POINTWISE, inputs=64, outputs=64, image=(8, 8)),
    "depthwise 3x3, 16, 16x16": DEPTHWISE,
    "fully connected, 128 → 128": MATRIX,
}


def cores_table(path: Path) -> Iterator[str]:
    """Typical layers on every core: instructions per multiply-accumulate, and estimated cycles where they are known."""
    yield f"| layer | {' | '.join(BOARDS)} |"
    yield "| --- |" + " --- |" * len(BOARDS)
    for label, layer in TYPICAL.items():
        cells = []
        for core in BOARDS:
            cost = Measurements(path, core).measure(layer)
            cycles = f", {cost.cycles / cost.macs:.1f} cycles" if cost.cycles else ""
            cells.append(f"{cost.per_mac:.2f}{cycles}")
        yield f"| {label} | {' | '.join(cells)} |"


# -- what stands out ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cliff:
    """A point that costs more than its neighbours say it should."""

    sweep: str
    line: str
    x: float | str
    per_mac: float
    kernel: str
    reason: str


def cliffs(costs: dict[str, dict[str, dict[float | str, Cost]]]) -> Iterator[Cliff]:
    """Points that cost more per product than they should by a quarter, or more altogether than a larger layer.

    Along sizes the point before is what a product should cost, else the best so far; zero weights must cost nothing.
    """
    for name, lines in costs.items():
        for label, points in lines.items():
            expected = float("inf")
            items = list(points.items())
            for place, (x, cost) in enumerate(items):
                larger = [other for _, other in items[place + 1 :] if other.macs >= cost.macs]
                reason = ""
                if cost.per_mac > 1.25 * expected:
                    before = "the best" if isinstance(x, str) else "the size"
                    reason = f"{cost.per_mac / expected:.2f} times {before} before it"
                if any(other.instructions < 0.98 * cost.instructions for other in larger) and name != "sparsity":
                    reason += f"{'; ' if reason else ''}a larger layer is cheaper"
                if reason:
                    yield Cliff(name, label, x, cost.per_mac, cost.kernel, reason)
                if name != "sparsity" or expected == float("inf"):
                    expected = min(expected, cost.per_mac) if isinstance(x, str) else cost.per_mac


def note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Measure, draw, list the cliffs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--core", choices=tuple(BOARDS), default="cortex-m4")
    parser.add_argument("--only", nargs="+", choices=tuple(SWEEPS), default=tuple(SWEEPS))
    parser.add_argument("--json", type=Path, default=Path("out/sweep.json"))
    parser.add_argument("--plot", type=Path, metavar="DIR", help="write an SVG for each sweep here")
    parser.add_argument("--cores", action="store_true", help="only a table of typical layers on every core")
    arguments = parser.parse_args()
    if arguments.cores:
        print("\n".join(cores_table(arguments.json)))
        return 0
    measurements = Measurements(arguments.json, arguments.core)
    costs = {
        name: {
            line.label: {point.x: measurements.measure(point.layer) for point in line.points}
            for line in SWEEPS[name].lines
        }
        for name in arguments.only
    }
    if arguments.plot is not None:
        from .plots import draw

        for name, lines in costs.items():
            sweep = SWEEPS[name]
            per_mac = {label: {x: cost.per_mac for x, cost in points.items()} for label, points in lines.items()}
            draw(arguments.plot / f"sweep_{name}.svg", f"{sweep.title}, {arguments.core}", sweep.axis, per_mac)
    for cliff in cliffs(costs):
        print(f"{cliff.sweep}, {cliff.line}, {cliff.x}: {cliff.per_mac:.2f} ({cliff.reason}) {cliff.kernel}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
