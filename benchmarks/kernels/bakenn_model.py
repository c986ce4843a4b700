"""Models as bakeNN compiles them, in our benchmark application: what it accepts, and what it then costs.

bakeNN 1.0 refuses every published file of the corpus: for a batch size that is left open in `shape_signature`, and for
SOFTMAX, which it does not import. `acceptable_model` takes both away, which changes no arithmetic of what is left, and
both sides are then measured on that file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flatbuffers
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

__all__ = ["POLICIES", "acceptable_model", "bakenn_sources", "refusal"]

POLICIES = ("portable", "CMSIS-NN")
"""What bakeNN takes by itself, and its fastest on a Cortex-M: packed weights and CMSIS-NN where it finds that exact."""

_GLUE = """/* bakeNN's function behind the face of our generated models. */
#include "{name}.h"
#include "bknn_{name}.h"

static uint8_t memory[BKNN_{upper}_ARENA_SIZE + 1u] __attribute__((aligned(16)));
static int8_t input[BKNN_{upper}_INPUT_BYTES];
static int8_t output[BKNN_{upper}_OUTPUT_BYTES];

int {name}_init(void *arena, size_t arena_bytes) {{
  (void)arena;
  (void)arena_bytes;
  return 0;
}}

int8_t *{name}_input(unsigned index) {{
  return index == 0u ? input : NULL;
}}

const int8_t *{name}_output(unsigned index) {{
  return index == 0u ? output : NULL;
}}

int {name}_invoke(void) {{
  bknn_{name}_infer(memory, input, output);
  return 0;
}}

/* It cannot be run layer by layer. */
int {name}_invoke_layer(unsigned index) {{
  return index == 0u ? {name}_invoke() : 0;
}}
"""


def refusal(model: bytes, folder: Path) -> str | None:
    """Why bakeNN does not compile a file, None if it does. The folder is for what it writes."""
    from bakenn import BakeNNError, compile_tflite

    try:
        compile_tflite(model, folder, name="model")
    except BakeNNError as error:
        return str(error)
    return None


def acceptable_model(model: bytes) -> bytes:
    """The file without open batch sizes and without a last SOFTMAX."""
    content = schema.ModelT.InitFromPackedBuf(model, 0)
    (graph,) = content.subgraphs
    for tensor in graph.tensors:
        tensor.shapeSignature = None
    last = graph.operators[-1]
    if _code(content, last) == schema.BuiltinOperator.SOFTMAX:
        graph.operators.pop()
        graph.outputs = [last.inputs[0]]
        for signature in content.signatureDefs or []:
            signature.outputs[0].tensorIndex = last.inputs[0]
    for operator in graph.operators:
        if _code(content, operator) == schema.BuiltinOperator.RESHAPE and operator.builtinOptions is None:
            # TFLite takes the shape from the second input; bakeNN wants the table too.
            operator.builtinOptionsType = schema.BuiltinOptions.ReshapeOptions
            operator.builtinOptions = schema.ReshapeOptionsT()
            operator.builtinOptions.newShape = list(graph.tensors[operator.outputs[0]].shape)
    builder = flatbuffers.Builder(1024)
    builder.Finish(content.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _code(model: Any, operator: Any) -> int:
    """The operator's number, which old files have in a field of its own."""
    code = model.operatorCodes[operator.opcodeIndex]
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def bakenn_sources(model: bytes, name: str, policy: str, folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """What bakeNN generates for a Cortex-M4, and the file that puts it in place of our `NAME.c`.

    Returns:
        Files to add, by path in the project, and files to replace.

    Raises:
        bakenn.BakeNNError: it refuses the model.
    """
    from bakenn import compile_tflite
    from bakenn.backend.portable_c import CBackendOptions, KernelPolicy

    fastest = policy == "CMSIS-NN"
    options = CBackendOptions(
        kernel_policy=KernelPolicy.STATIC_PRIORITY if fastest else KernelPolicy.PORTABLE, enable_cmsis_nn=fastest
    )
    compile_tflite(model, folder, name=name, target="cortex-m4", backend_options=options)
    files = {
        f"bakenn/{path.relative_to(folder).as_posix()}": path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.[ch]"))
        if "third_party" not in path.parts
    }
    return files, {f"model/{name}.c": _GLUE.format(name=name, upper=name.upper())}
