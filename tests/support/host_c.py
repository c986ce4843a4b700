"""Generated models as programs of this machine, with the compiler's sanitizers watching every access."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyml_sdk.codegen import Optimize, generate_model
from tinyml_sdk.graph import Graph
from tinyml_sdk.ops import Layer
from tinyml_sdk.plan import MemoryPlan

Array = npt.NDArray[Any]

FLAGS = "-std=c99 -O1 -fno-sanitize-recover=all -Wall -Wextra -Wconversion -Wshadow -Werror".split()
WATCHED = "-fsanitize=address,undefined,float-cast-overflow"
MOVED = "-fsanitize=address,alignment"
"""Half of the work, for code that differs from watched code in nothing but where its tensors lie."""

# Binutils' quicker linker, where it is installed.
LINKER = ["-fuse-ld=gold"] if shutil.which("ld.gold") else []

# Reads inference after inference from stdin, runs each (or, if they continue one another, the first) on memory full of
# rubbish that ends where the arena ends, and writes the outputs.
RUNNER = """
static int run_{name}(FILE *in, FILE *out) {{
  static const size_t input_bytes[] = {{{input_bytes}}}, output_bytes[] = {{{output_bytes}}};
  unsigned char *arena = malloc({upper}_ARENA_BYTES);
  for (unsigned inference = 0; inference < {inferences}u; ++inference) {{
    if ({anew}u || inference == 0) {{
      memset(arena, inference % 2 ? 0x5a : 0x85, {upper}_ARENA_BYTES);
      if ({name}_init(arena, {upper}_ARENA_BYTES) != 0) return 2;
    }}
    for (unsigned i = 0; i < {upper}_INPUT_COUNT; ++i)
      if (fread({name}_input(i), 1, input_bytes[i], in) != input_bytes[i]) return 3;
    if ({name}_invoke() != 0) return 4;
    for (unsigned i = 0; i < {upper}_OUTPUT_COUNT; ++i) fwrite({name}_output(i), 1, output_bytes[i], out);
  }}
  free(arena);
  return 0;
}}
"""


@dataclass(frozen=True)
class Variant:
    """One way to generate a model: where its tensors lie, for what it is optimized, and layers of its own, if any."""

    name: str
    plan: MemoryPlan
    optimize: Optimize = "speed"
    layers: Sequence[Layer] | None = None


def run_variants(
    graph: Graph,
    layers: Sequence[Layer],
    variants: Sequence[Variant],
    inferences: Sequence[Sequence[Array]],
    *,
    anew: bool = True,
) -> dict[str, list[list[Array]]]:
    """The outputs of each inference, for each variant, from one program; `anew`: init before every inference.

    Raises AssertionError with the compiler's or the sanitizer's words when either objects.
    """
    with tempfile.TemporaryDirectory() as folder:
        runners = [_runner(replace(graph, name=variant.name), len(inferences), anew) for variant in variants]
        program = _build(Path(folder), graph, layers, variants, runners)
        request = b"".join(array.tobytes() for inputs in inferences for array in inputs)
        finished = subprocess.run(
            [program],
            input=request * len(variants),
            capture_output=True,
            env=os.environ | {"ASAN_OPTIONS": "detect_leaks=0"},
            timeout=1200,
            check=False,
        )
    assert finished.returncode == 0, finished.stderr.decode()[:4000]
    reply = memoryview(finished.stdout)
    results: dict[str, list[list[Array]]] = {}
    for variant in variants:
        results[variant.name] = []
        for _ in inferences:
            outputs = []
            for tensor in graph.output_tensors:
                outputs.append(np.frombuffer(reply[: tensor.bytes], tensor.dtype.numpy).reshape(tensor.shape))
                reply = reply[tensor.bytes :]
            results[variant.name].append(outputs)
    assert not reply
    return results


def _build(
    folder: Path, graph: Graph, layers: Sequence[Layer], variants: Sequence[Variant], runners: Sequence[str]
) -> Path:
    # The first model is compiled with main.c, one process less; before the headers that it does not include itself.
    main = [f'#include "{variants[0].name}.c"', "#include <stdio.h>", "#include <stdlib.h>", "#include <string.h>"]
    sources = {"main.c": WATCHED}
    watched: dict[tuple[Optimize, int], str] = {}
    for variant, runner in zip(variants, runners, strict=True):
        name = variant.name
        model = generate_model(replace(graph, name=name), variant.layers or layers, variant.plan, variant.optimize)
        first = watched.setdefault((variant.optimize, id(variant.layers or layers)), name)
        for path, text in model.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            # One copy of the constants is enough, too.
            (folder / path).write_text(re.sub(rf"\b{name}_(weights|tensor_|\d)", rf"{first}_\1", text))
        if variant is not variants[0]:
            sources[f"{name}.c"] = WATCHED if first == name else MOVED
        main.append(f'#include "{name}.h"')
        if first == name:
            main.append(f'#include "{name}_weights.c"')
        main.append(runner)
    main.append("int main(void) {")
    main += [f"  if (run_{variant.name}(stdin, stdout) != 0) return 1;" for variant in variants]
    main.append("  return 0;\n}\n")
    (folder / "main.c").write_text("\n".join(main))
    compilers = [
        subprocess.Popen(["gcc", *FLAGS, sanitizers, "-c", source], cwd=folder, stderr=subprocess.PIPE)
        for source, sanitizers in sources.items()
    ]
    for compiler in compilers:
        _, messages = compiler.communicate()
        assert compiler.returncode == 0, messages.decode()[:4000]
    objects = [source.replace(".c", ".o") for source in sources]
    subprocess.run(["gcc", WATCHED, *LINKER, *objects, "-o", "program"], cwd=folder, check=True)
    return folder / "program"


def _runner(graph: Graph, inferences: int, anew: bool) -> str:
    return RUNNER.format(
        name=graph.name,
        upper=graph.name.upper(),
        inferences=inferences,
        anew=int(anew),
        input_bytes=", ".join(str(tensor.bytes) for tensor in graph.input_tensors),
        output_bytes=", ".join(str(tensor.bytes) for tensor in graph.output_tensors),
    )
