"""The scripted target, as somebody would use it to test a host program."""

import time
from pathlib import Path

import pytest

from tinyml_sdk.errors import TargetError
from tinyml_sdk.targets import ScriptedTarget, Step


def soon() -> float:
    return time.monotonic() + 30.0


def test_exchanges_in_order() -> None:
    with ScriptedTarget([Step(b"ping", b"pong"), Step(b"more", b"less")], greeting=b"boot\n") as target:
        target.load(Path("any.elf"))
        stream = target.open()
        assert stream.read(soon()) == b"boot\n"
        stream.write(b"pi")
        stream.write(b"ngmore")
        assert stream.read(soon()) + stream.read(soon()) == b"pongless"
        assert target.remaining == ()
        assert (target.written, target.loaded) == (b"pingmore", Path("any.elf"))


def test_a_predicate_sees_all_that_is_pending() -> None:
    stream = ScriptedTarget([Step(lambda data: data.endswith(b"\0"), b"ok")]).open()
    stream.write(b"frame")
    assert stream.read(time.monotonic() + 0.01) == b""
    stream.write(b"\0")
    assert stream.read(soon()) == b"ok"


def test_a_delay_longer_than_the_deadline() -> None:
    stream = ScriptedTarget([Step(b"a", b"late", delay=0.1)]).open()
    stream.read(time.monotonic())
    stream.write(b"a")
    start = time.monotonic()
    assert stream.read(start + 0.02) == b""
    assert stream.read(start + 60) == b"late"
    assert 0.1 <= time.monotonic() - start < 60


def test_a_fault() -> None:
    fault = TargetError("the cable is out", hint="plug it in")
    stream = ScriptedTarget([Step(b"a", fault=fault)]).open()
    stream.write(b"a")
    with pytest.raises(TargetError, match="cable"):
        while True:
            stream.read(soon())


def test_what_the_script_does_not_expect() -> None:
    target = ScriptedTarget([Step(b"abc")])
    stream = target.open()
    with pytest.raises(TargetError, match="61 78, not 61 62 63"):
        stream.write(b"ax")
    assert len(target.remaining) == 1


def test_a_reset_greets_again() -> None:
    target = ScriptedTarget(greeting=b"hi", counts="cycles")
    stream = target.open()
    assert stream.read(soon()) == b"hi"
    target.reset()
    assert (stream.read(soon()), target.resets, target.counts) == (b"hi", 1, "cycles")
