"""Makes demo.svg: what `make demo` prints, as a picture for the README.

python docs/make_demo_picture.py
"""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from tinyml_sdk import benchmark
from tinyml_sdk.bench.samples import Samples
from tinyml_sdk.report.measurement import measurement_report
from tinyml_sdk.report.samples import samples_report

DOCS = Path(__file__).resolve().parent
DIGITS = DOCS.parent / "examples" / "digits"
WIDTH = 84


def main() -> None:
    samples: list[Samples] = []
    result = benchmark(
        DIGITS / "digits.tflite",
        board="mps2-an386",
        inputs=DIGITS / "digits_test.npz",
        on_samples=samples.append,
    )
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(measurement_report(result))
    pictures = samples_report(samples[0])
    if pictures is not None:
        console.print()
        console.print(pictures)
    # Without the template's web fonts: the picture must not load anything.
    template = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")
    svg = console.export_svg(title="make demo", theme=MONOKAI, code_format=template, unique_id="demo")
    (DOCS / "demo.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
