"""Live streams, of a real RTSP server."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Timer
from time import sleep

import numpy as np
import pytest

from onegauge.camera.errors import CameraAway
from onegauge.camera.stream import PARAMETERS, Stream
from onegauge.camera.url import shown
from rig.address import free_address
from rig.cameras import Rtsp, age_s, rtsp
from tests.line import wait_until

LONG = 60.0  # seconds in which a frame comes for sure
NEW_S = 0.5  # less than what is buffered while the connection is made, or in a pause here


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with much other work may have the camera wait for long."""
    open_within, read_within = PARAMETERS[:2], [PARAMETERS[2], 1000 * int(LONG)]
    patient = [*open_within, *read_within, *PARAMETERS[4:]]
    monkeypatch.setattr("onegauge.camera.stream.PARAMETERS", patient)


@contextmanager
def opened(camera: Rtsp, silent_s: float = LONG) -> Iterator[Stream]:
    stream = Stream(camera.url, shown(camera.url), silent_s)
    stream.open()
    try:
        yield stream
    finally:
        stream.close()


def new_in_the_end(age: Callable[[], float]) -> bool:
    """Whether a frame is new; again, since a machine with more to do may stop for a moment."""
    return any(age() < NEW_S for _ in range(3))


def test_the_first_frame_is_new(stream):
    def age() -> float:
        with opened(stream) as opened_stream:
            return age_s(opened_stream.take(LONG))

    assert new_in_the_end(age)


class Buffered:
    """A capture of OpenCV with 25 frames in its buffer, which are there at once."""

    def __init__(self) -> None:
        self.is_wanted = Event()
        self._frame = 0

    def isOpened(self) -> bool:
        return True

    def grab(self) -> bool:
        self.is_wanted.wait()
        self._frame += 1
        if self._frame > 25:
            sleep(0.04)
        return True

    def get(self, _: int) -> float:
        return 40.0 * self._frame

    def retrieve(self) -> tuple[bool, np.ndarray]:
        return True, np.array(self._frame)

    def release(self) -> None:
        pass


def test_frames_of_a_buffer_are_passed_over(monkeypatch):
    capture = Buffered()
    monkeypatch.setattr("onegauge.camera.stream.opened", lambda _: capture)
    stream = Stream("rtsp://camera", "camera")
    stream.open()
    Timer(0.1, capture.is_wanted.set).start()
    assert stream.take(LONG) > 25
    stream.close()


def test_a_frame_is_new_after_a_pause_in_which_nobody_has_asked(stream):
    with opened(stream) as opened_stream:

        def age() -> float:
            sleep(2 * NEW_S)
            return age_s(opened_stream.take(LONG))

        assert new_in_the_end(age)


def test_each_frame_is_another_one(stream):
    with opened(stream) as opened_stream:
        frames = [opened_stream.take(LONG) for _ in range(5)]
    assert len({frame.tobytes() for frame in frames}) == 5


def take_what_has_come(stream: Stream, within_s: float) -> None:
    """Frames that were on their way when the camera went, or fell silent."""
    while stream.take(within_s) is not None:
        pass


def test_a_camera_that_goes_and_comes_back():
    with rtsp() as camera, opened(camera) as stream:
        assert stream.take(LONG) is not None
        camera.kill()
        with pytest.raises(CameraAway, match=f"rtsp://{camera.address}: no more frames come"):
            take_what_has_come(stream, LONG)
        with pytest.raises(CameraAway):
            stream.check()
        stream.close()
        with pytest.raises(CameraAway, match="cannot be opened"):
            stream.open()
        camera.start()
        stream.open()
        assert stream.take(LONG) is not None


def test_a_camera_that_stays_silent_is_away_and_gives_no_old_frame():
    with rtsp() as camera, opened(camera, silent_s=0.5) as stream:
        assert stream.take(LONG) is not None
        camera.pause()
        take_what_has_come(stream, 0.1)
        with pytest.raises(CameraAway, match=r"nothing comes for 0\.5 s"):
            wait_until(lambda: stream.check() is not None)


def test_frames_of_a_camera_that_stands_still_are_the_same_to_the_pixel():
    with rtsp("still") as camera, opened(camera) as stream:
        frames = [stream.take(LONG) for _ in range(10)]
    same = [np.array_equal(*pair) for pair in zip(frames, frames[1:], strict=False)]
    assert sum(same) >= 8  # the codec may begin anew once


def test_damage_on_the_way_ends_nothing(capfd):
    with rtsp("damaged") as camera, opened(camera) as stream:
        frames = [stream.take(LONG) for _ in range(10)]
    assert {frame.shape for frame in frames} == {(240, 320, 3)}
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("url", ["rtsp://user:wrong@{}/line", "rtsp://user:secret@{}/other"])
def test_a_camera_that_refuses_is_away_and_no_password_is_told(stream, url, capfd):
    with pytest.raises(CameraAway) as told:
        Stream(url.format(stream.address), shown(url.format(stream.address))).open()
    assert str(told.value) == f"rtsp://{stream.address} cannot be opened"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("url", ["rtsp://{}/line", "/dev/video77", "77"])
def test_what_is_not_there_is_away(url, capfd):
    url = url.format(free_address())
    with pytest.raises(CameraAway, match="cannot be opened"):
        Stream(url, shown(url)).open()
    assert capfd.readouterr() == ("", "")
