"""Models on boards as functions of arrays: emulated, and the same behind a port."""

from __future__ import annotations

import numpy as np
import pytest
from support.simulated import DIGITS, firmware
from support.tools import TARGET_TOOLS, require_tool

import tinyml_sdk
from tinyml_sdk.bench.inputs import quantize
from tinyml_sdk.errors import BoardError, InputError, TargetError
from tinyml_sdk.simulator import BoardSimulator

BOARD = "mps2-an386"
TEST_DATA = np.load(DIGITS.with_name("digits_test.npz"))
X, LABELS = TEST_DATA["inputs"], TEST_DATA["labels"]


@pytest.fixture(scope="module")
def session():
    require_tool(TARGET_TOOLS["builtin"])
    with tinyml_sdk.Board(BOARD) as board:
        yield board.load(DIGITS)


def test_floats_in_floats_out_batch_by_batch(session):
    scores = session(X[:12])
    assert scores.shape == (12, 10)
    assert scores.dtype == np.float32
    assert (scores.argmax(axis=1) == LABELS[:12]).mean() > 0.9
    assert scores.sum(axis=1) == pytest.approx(np.ones(12), abs=0.05)
    assert len(session.counts) == 12
    assert session.unit == "instructions"
    assert min(session.counts) > 10_000


def test_int8_in_int8_out(session):
    (tensor,) = session.inputs
    stored = quantize(X[:3], tensor)
    raw = session(stored)
    assert raw.dtype == np.int8
    (output,) = session.outputs
    assert session(X[:3]) == pytest.approx((raw.astype(np.float32) - output.zero_point) * output.scale)


def test_the_first_axis_comes_back_as_it_was_given(session):
    shape = session.inputs[0].shape
    one = X[0].reshape(shape)
    assert session(one).shape == (1, 10)
    assert session(one[0]).shape == (10,)
    assert session(np.stack([one, one])).shape == (2, 1, 10)
    assert session(one.tolist()).shape == (1, 10)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ((), "0 arrays for a model with 1 inputs"),
        ((X[0], X[0]), "2 arrays for a model with 1 inputs"),
        ((X[0][:5],), "does not fit input"),
        ((X[0].astype(np.int32),), "int32 does not say"),
    ],
)
def test_arrays_that_do_not_fit(session, arrays, message):
    with pytest.raises(InputError, match=message):
        session(*arrays)


def test_the_same_behind_a_port(session):
    require_tool(TARGET_TOOLS["builtin"])
    with BoardSimulator(tinyml_sdk.load_board(BOARD), firmware(BOARD)) as simulator:
        with tinyml_sdk.Board(BOARD, port=simulator.path, flash=False) as board:
            over_port = board.load(DIGITS)
            assert (over_port(X[:3]) == session(X[:3])).all()
            assert over_port.counts == session.counts
            assert over_port.info.board == BOARD
        with pytest.raises(TargetError, match="has ended"):
            over_port(X[:3])


def test_loading_again_ends_the_session_before():
    require_tool(TARGET_TOOLS["builtin"])
    with tinyml_sdk.Board(BOARD) as board:
        first = board.load(DIGITS)
        second = board.load(DIGITS)
        with pytest.raises(TargetError, match="has ended"):
            first(X[0])
        assert second(X[:1]).shape == (1, 10)


def test_boards_that_are_not_there():
    with pytest.raises(BoardError):
        tinyml_sdk.Board("no-such-board")
    with pytest.raises(TargetError, match="no such port"):
        tinyml_sdk.Board(BOARD, port="/dev/nothing", flash=False)
    with pytest.raises(InputError, match="no target"):
        tinyml_sdk.Board(BOARD, target="gpu")
