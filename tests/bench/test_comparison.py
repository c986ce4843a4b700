"""Comparing results: what grew, what is too much, and files that are no results."""

from __future__ import annotations

import dataclasses
import json

import pytest
from support.results import made_up_result

from tinyml_sdk.bench.comparison import compare_results, load_result
from tinyml_sdk.errors import InputError


def grown(result, layer: int, count: int):
    """The result with one layer costing more, the total with it."""
    layers = list(result.layers)
    more = count - layers[layer].count
    layers[layer] = dataclasses.replace(layers[layer], count=count)
    per_inference = dataclasses.replace(result.per_inference, median=result.per_inference.median + more)
    return dataclasses.replace(result, layers=tuple(layers), per_inference=per_inference)


def test_results_survive_their_file(tmp_path):
    result = made_up_result()
    path = tmp_path / "result.json"
    path.write_text(result.to_json())
    assert load_result(path) == result


def test_equal_results_have_no_regressions():
    comparison = compare_results(made_up_result(), made_up_result())
    assert comparison.settings == ()
    assert comparison.regressions(0) == ()


def test_a_grown_layer_is_named_with_the_total():
    old = made_up_result()
    new = grown(old, 0, 2 * old.layers[0].count)
    names = [cost.name for cost in compare_results(old, new).regressions(0.02)]
    assert names[0] == "instructions"
    assert names[-1].startswith("layer 0 ")
    assert compare_results(new, old).regressions(0) == ()


def test_layers_are_found_again_in_another_order():
    old = made_up_result()
    new = dataclasses.replace(old, layers=(*old.layers[1:], old.layers[0]))
    comparison = compare_results(old, new)
    assert [cost.growth for cost in comparison.layers] == [0] * len(old.layers)


def test_layers_without_names_are_compared_by_place():
    layers = tuple(dataclasses.replace(layer, name="") for layer in made_up_result().layers)
    old = dataclasses.replace(made_up_result(), layers=layers)
    assert len(compare_results(old, grown(old, 3, 9_000)).layers) == len(layers)


def test_other_layers_leave_the_totals():
    old = made_up_result()
    comparison = compare_results(old, dataclasses.replace(old, layers=old.layers[1:]))
    assert comparison.layers == ()
    assert len(comparison.totals) == 4


def test_a_tiny_layer_may_grow_a_little():
    old = made_up_result()
    tiny = min(old.layers, key=lambda layer: layer.count)
    new = grown(old, tiny.index, tiny.count + 3)
    assert compare_results(old, new).regressions(0.02) == ()


def test_other_settings_are_named():
    old = made_up_result()
    new = dataclasses.replace(old, board="microbit", optimize="size")
    assert compare_results(old, new).settings == ("board", "optimize")


def test_instructions_and_cycles_do_not_compare():
    old = made_up_result()
    with pytest.raises(InputError, match="cycles"):
        compare_results(old, dataclasses.replace(old, counter="cycles"))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}', '{"schema": 1, "model": 5}', "\x00", '{"schema": 1e400}']
)
def test_files_that_are_no_results(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        load_result(path)
    assert "other.json" in str(caught.value)
    assert caught.value.hint


def test_a_missing_field_is_named(tmp_path):
    data = made_up_result().to_dict()
    del data["flash"]["code"]
    path = tmp_path / "r.json"
    path.write_text(json.dumps(data))
    with pytest.raises(InputError, match=r"flash\.code"):
        load_result(path)
