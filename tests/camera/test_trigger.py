import os
from collections.abc import Callable, Iterator
from time import monotonic

import pytest

from onegauge.camera.errors import CameraError, NoMoreFrames
from onegauge.camera.trigger import PART_WITHIN_S, Every, Input, Lines, trigger_of

LONG = 60.0  # seconds in which it comes for sure


@pytest.fixture
def pipe() -> Iterator[tuple[Lines, Callable[[bytes], int], Callable[[], None]]]:
    """Lines, and how to write and how to end them."""
    reading, writing = os.pipe()
    is_open = [True]

    def end() -> None:
        if is_open:
            os.close(writing)
            is_open.clear()

    yield Lines(reading), lambda data: os.write(writing, data), end
    end()


def test_each_line_is_a_part(pipe):
    lines, write, end = pipe
    write(b"4711\r\n47")
    assert lines.wait(LONG).part == "4711"
    write(b"12\n  4713  \n\n4714")
    end()
    assert [lines.wait(LONG).part for _ in range(4)] == ["4712", "4713", None, "4714"]
    for _ in range(2):
        with pytest.raises(NoMoreFrames, match="standard input has ended"):
            lines.wait(LONG)


def test_a_part_is_there_for_a_moment_from_when_its_line_came(pipe):
    lines, write, _ = pipe
    before = monotonic()
    write(b"4711\n")
    moment = lines.wait(LONG)
    assert before + PART_WITHIN_S <= moment.until <= monotonic() + PART_WITHIN_S
    assert moment.is_sure
    assert lines.wait(0) is None


@pytest.mark.parametrize("line", [b"a\tb", b"x" * 129, "工".encode() * 100])
def test_what_cannot_be_a_part_takes_a_frame_all_the_same(pipe, line, capfd):
    lines, write, _ = pipe
    write(line + b"\n")
    assert lines.wait(LONG).part is None
    assert capfd.readouterr().err.startswith("onegauge: a frame is taken, but '")


def test_an_interval_begins_with_the_camera_and_makes_up_for_nothing(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("onegauge.camera.trigger.monotonic", lambda: now[0])
    monkeypatch.setattr("onegauge.camera.trigger.sleep", lambda s: now.append(now.pop() + s))
    every = Every(2.0)
    now[0] = 101.5  # the camera has been opened
    taken = []
    while now[0] < 106:
        if moment := every.wait(0.5):
            taken.append(now[0])
            assert moment.part is None
            assert moment.until == now[0] + 2
    assert taken == [101.5, 103.5, 105.5]
    now[0] = 115.0  # the camera was away
    taken = [now[0] for _ in range(10) if every.wait(0.5)]
    assert taken == [115, 117, 119]


def test_an_input_of_a_camera_may_tell_nothing():
    moment = Input().wait(0.2)
    assert not moment.is_sure
    assert moment.until <= monotonic() + 0.2


def test_the_options_tell_the_trigger():
    assert isinstance(trigger_of(None, None), Every)
    assert isinstance(trigger_of(0.5, None), Every)
    assert isinstance(trigger_of(None, "Line0"), Input)
    with pytest.raises(CameraError, match="--every or --trigger, not both"):
        trigger_of(0.5, "-")
