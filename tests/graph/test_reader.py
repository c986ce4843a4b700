"""The .tflite reader: what it gives for sound files, and one clear error for every other."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import flatbuffers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyml_sdk.errors import InputError, ModelError, TinymlError
from tinyml_sdk.graph import DType, parse_graph, read_graph
from tinyml_sdk.graph.names import RESERVED, identifier_from
from tinyml_sdk.graph.reader import MAX_FILE_BYTES
from tinyml_sdk.ops import lower_graph
from tinyml_sdk.resources import templates_dir

DIGITS = Path(__file__).parents[2] / "examples" / "digits" / "digits.tflite"
schema = pytest.importorskip("tflite_micro.tensorflow.lite.micro.python.schema_py_generated")


def edited(change) -> bytes:
    """The digits model after a change to its FlatBuffer objects."""
    model = schema.ModelT.InitFromPackedBuf(DIGITS.read_bytes(), 0)
    change(model)
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def refuse(data: bytes, *words: str) -> ModelError:
    """Reading the data fails with all words in the message, and a hint."""
    with pytest.raises(ModelError) as caught:
        lower_graph(parse_graph(data, "broken.tflite"))
    for word in ("broken.tflite", *words):
        assert word in str(caught.value)
    assert caught.value.hint
    return caught.value


def test_digits_model_reads():
    graph = read_graph(DIGITS)
    assert graph.name == "digits"
    assert [op.name for op in graph.ops][:2] == ["CONV_2D", "DEPTHWISE_CONV_2D"]
    (image,) = graph.input_tensors
    assert (image.shape, image.dtype, image.zero_point) == ((1, 8, 8, 1), DType.INT8, -128)
    assert graph.output_tensors[0].shape == (1, 10)


def test_graph_is_immutable():
    graph = read_graph(DIGITS)
    with pytest.raises(dataclasses.FrozenInstanceError):
        graph.name = "other"
    weights = next(tensor for tensor in graph.tensors if tensor.is_constant)
    with pytest.raises(ValueError, match="read-only"):
        weights.data[...] = 0


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("Kws v2.tflite", "kws_v2"),
        ("4bit.tflite", "model_4bit"),
        ("é.tflite", "model"),
        ("dir/a-b.c.tflite", "a_b_c"),
        ("Stdint.tflite", "model_stdint"),
    ],
)
def test_model_name_is_a_c_identifier(source, name):
    assert identifier_from(source) == name


def test_no_model_hides_a_file_of_the_firmware_around_it():
    taken = {path.stem for folder in ("app", "app_mlperf", "ports") for path in (templates_dir() / folder).rglob("*.h")}
    assert taken <= RESERVED


@pytest.mark.parametrize("name", [b"b\xe4d.tflite", b"two\nlines.tflite"])
def test_a_name_that_is_no_text_of_one_line_is_made_one(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    path.write_bytes(DIGITS.read_bytes())
    assert read_graph(path).source == name.translate(bytes.maketrans(b"\xe4\n", b"??")).decode()


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.tflite", tmp_path):
        with pytest.raises(InputError) as caught:
            read_graph(path)
        assert caught.value.exit_code == 2


def test_oversized_file_is_not_read(tmp_path):
    path = tmp_path / "huge.tflite"
    with path.open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(ModelError, match="limit"):
        read_graph(path)


def test_empty_and_foreign_files():
    refuse(b"", "too few")
    refuse(b"\x7fELF" + bytes(100), "an ELF file")
    refuse(b"PK\x03\x04" + bytes(100), ".keras")
    refuse(bytes(100), "identifier")


def test_wrong_schema_version():
    def change(model):
        model.version = 2

    refuse(edited(change), "version", "2")


def test_dynamic_batch_becomes_one():
    def change(model):
        model.subgraphs[0].tensors[0].shape = [-1, 8, 8, 1]

    assert parse_graph(edited(change)).input_tensors[0].shape == (1, 8, 8, 1)


def test_other_dynamic_dimensions_are_refused():
    def change(model):
        model.subgraphs[0].tensors[0].shape = [1, -1, 8, 1]

    refuse(edited(change), "tensor 0", "shape")


@pytest.mark.parametrize(("type_name", "word"), [("FLOAT32", "float32"), ("UINT8", "uint8"), ("FLOAT16", "float16")])
def test_models_that_are_not_int8(type_name, word):
    def change(model):
        tensor = model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]]
        tensor.type = getattr(schema.TensorType, type_name)
        tensor.quantization.zeroPoint = [0]

    error = refuse(edited(change), word)
    assert "int8" in error.hint


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_impossible_scales(scale):
    def change(model):
        model.subgraphs[0].tensors[0].quantization.scale = [scale]

    refuse(edited(change), "tensor 0", "scale")


def test_zero_point_outside_int8():
    def change(model):
        model.subgraphs[0].tensors[0].quantization.zeroPoint = [300]

    refuse(edited(change), "zero point 300")


def test_cycle_is_refused():
    def change(model):
        subgraph = model.subgraphs[0]
        subgraph.operators[0].inputs = [subgraph.operators[-1].outputs[0], *subgraph.operators[0].inputs[1:]]

    refuse(edited(change), "op 0 (CONV_2D)", "before any op has written it")


def test_tensor_written_twice():
    def change(model):
        subgraph = model.subgraphs[0]
        subgraph.operators[1].outputs = subgraph.operators[0].outputs

    refuse(edited(change), "op 1", "already has a value")


def test_index_out_of_range():
    def change(model):
        model.subgraphs[0].operators[0].inputs = [10_000, 1, 2]

    refuse(edited(change), "operators[0]", "tensor 10000 does not exist")


def test_unknown_operator_is_named():
    def change(model):
        for code in model.operatorCodes:
            if code.builtinCode == schema.BuiltinOperator.SOFTMAX:
                code.builtinCode = schema.BuiltinOperator.FFT2D if hasattr(schema.BuiltinOperator, "FFT2D") else 131
                code.deprecatedBuiltinCode = 127

    refuse(edited(change), "not supported")


def test_custom_operator_is_named():
    def change(model):
        code = model.operatorCodes[0]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = "MyOp"

    refuse(edited(change), "'MyOp'")


def test_unknown_operator_version():
    def change(model):
        model.operatorCodes[0].version = 99

    refuse(edited(change), "op 0 (CONV_2D)", "version", "99")


def test_wrong_buffer_size():
    def change(model):
        weights = model.subgraphs[0].tensors[model.subgraphs[0].operators[0].inputs[1]]
        model.buffers[weights.buffer].data = model.buffers[weights.buffer].data[:-1]

    refuse(edited(change), "buffer", "bytes")


def test_second_subgraph():
    def change(model):
        model.subgraphs.append(model.subgraphs[0])

    refuse(edited(change), "subgraphs", "2")


def accept_or_explain(data: bytes) -> bool:
    """Whether a damaged file still reads; anything but a graph or a TinymlError fails the test."""
    try:
        lower_graph(parse_graph(data, "damaged.tflite"))
    except TinymlError as error:
        assert error.hint
        assert error.exit_code == 2
        return False
    return True


def test_every_truncation_is_refused_or_whole():
    data = DIGITS.read_bytes()
    for length in range(0, len(data), 37):
        accept_or_explain(data[:length])


@given(st.binary(max_size=300))
def test_random_bytes(data):
    accept_or_explain(data)
    accept_or_explain(data[:4] + b"TFL3" + data[8:])
