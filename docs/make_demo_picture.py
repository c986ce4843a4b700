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
from rich.text import Text

from tinyml_sdk import benchmark, compare_results, compress_model, load_result
from tinyml_sdk.bench.samples import Samples
from tinyml_sdk.report.comparison import comparison_report
from tinyml_sdk.report.compression import compression_report
from tinyml_sdk.report.measurement import measurement_report
from tinyml_sdk.report.samples import samples_report

DOCS = Path(__file__).resolve().parent
DIGITS = DOCS.parent / "examples" / "digits"
OUT = DOCS.parent / "out"
WIDTH = 84


def main() -> None:
    compressed = compress_model(
        DIGITS / "digits.keras",
        DIGITS / "digits_train.npz",
        DIGITS / "recipe.yaml",
        validation=DIGITS / "digits_test.npz",
    )
    model = OUT / "digits.tflite"
    model.parent.mkdir(exist_ok=True)
    model.write_bytes(compressed.quantized.content)
    samples: list[Samples] = []
    before = benchmark(DIGITS / "digits.tflite", board="mps2-an386")
    after = benchmark(model, board="mps2-an386", inputs=DIGITS / "digits_test.npz", on_samples=samples.append)
    for name, result in (("before", before), ("digits", after)):
        (OUT / f"{name}.json").write_text(result.to_json(), encoding="utf-8")

    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    parts = [
        compression_report(compressed),
        measurement_report(after),
        samples_report(samples[0]),
        comparison_report(compare_results(load_result(OUT / "before.json"), load_result(OUT / "digits.json"))),
    ]
    for part in parts:
        if part is not None:
            console.print(part)
            console.print(Text())
    # Without the template's web fonts: the picture must not load anything.
    template = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")
    svg = console.export_svg(title="make demo", theme=MONOKAI, code_format=template, unique_id="demo")
    (DOCS / "demo.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
