"""A camera's thread, with a camera and a trigger that do what a test tells them."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import monotonic

import cv2
import numpy as np
import pytest

from onegauge.camera.errors import CameraAway, CameraError, DamagedFrame, NoMoreFrames
from onegauge.camera.frames import Frames
from onegauge.camera.grabber import Grabber
from onegauge.camera.metrics import Metrics
from onegauge.camera.quality import Bounds, Fault, Gate
from onegauge.camera.source import Pixels
from onegauge.camera.trigger import Moment
from onegauge.pauses import Pauses
from tests.camera.pictures import blurred, sharp

SHORT = Pauses(0.001, 0.001)
Told = Pixels | Exception | None


class Scripted:
    """A camera and its trigger: each moment comes to what the script says, the last one ends it."""

    name = "camera"

    def __init__(self, *script: Told, away: int = 0, is_sure: bool = True):
        self._script = iter(script)
        self._away = away
        self._is_sure = is_sure
        self.checks = 0
        self.is_open = False

    def open(self) -> None:
        if self._away:
            self._away -= 1
            raise CameraAway("camera: it is away")
        self.is_open = True

    def take(self, within_s: float) -> Pixels | None:
        assert self.is_open
        assert within_s > 0
        told = next(self._script, NoMoreFrames("it has ended"))
        if isinstance(told, Exception):
            raise told
        return told

    def check(self) -> None:
        self.checks += 1

    def close(self) -> None:
        self.is_open = False

    def wait(self, seconds: float) -> Moment | None:
        return Moment(monotonic() + seconds, "4711" if self._is_sure else None, self._is_sure)


class Late(Scripted):
    """Its moments are over when they are told."""

    def wait(self, _: float) -> Moment | None:
        self._rounds = getattr(self, "_rounds", 0) + 1
        if self._rounds > 3:
            raise NoMoreFrames("it has ended")
        return Moment(monotonic())


class Full(Frames):
    """A folder on a disk that is full, for so many frames."""

    refusals = 2

    def put(self, data: bytes, suffix: str, part: str | None, fault: Fault | None) -> None:
        if self.refusals:
            self.refusals -= 1
            raise OSError(errno.ENOSPC, "No space left on device", "folder")
        super().put(data, suffix, part, fault)


@pytest.fixture
def frames(tmp_path: Path) -> Frames:
    return Frames(tmp_path, 3)


def counts(metrics: Metrics) -> dict[str, float]:
    """Frames by outcome, of those that there were."""
    (family,) = (f for f in metrics.registry.collect() if f.name == "onegauge_camera_frames")
    samples = (sample for sample in family.samples if sample.name.endswith("_total"))
    return {sample.labels["outcome"]: sample.value for sample in samples if sample.value}


def value(metrics: Metrics, name: str) -> float | None:
    return metrics.registry.get_sample_value(f"onegauge_camera_{name}")


def ran(camera: Scripted, frames: Frames, **options: bool) -> tuple[Grabber, Metrics]:
    """After it has come to its end by itself."""
    metrics = Metrics()
    gate = Gate(Bounds(min_sharpness=0.2))
    grabber = Grabber(camera, camera, gate, frames, metrics, pauses=SHORT, **options)
    grabber.run(Event())
    assert frames.ended.is_set()
    assert not camera.is_open
    return grabber, metrics


def names(folder: Path) -> Iterator[str]:
    return iter(sorted(os.listdir(folder)))


def test_each_moment_is_a_file_that_tells_its_part_and_its_problem(frames, tmp_path):
    _, metrics = ran(Scripted(sharp(0), blurred(1)), frames)
    good, bad = (tmp_path / name for name in names(tmp_path))
    assert np.abs(cv2.imread(str(good)).astype(int) - sharp(0)).mean() < 2
    assert frames.asked_of(good.name)["part"] == frames.asked_of(bad.name)["part"] == "4711"
    assert frames.problem_of(good.name) is None
    assert frames.problem_of(bad.name)["problem"] == "blurred"
    assert counts(metrics) == {"taken": 1, "blurred": 1}
    assert value(metrics, "sharpness") == pytest.approx(0.05, abs=0.05)
    assert value(metrics, "highlights") > 64
    assert value(metrics, "connected") == 1


@pytest.mark.parametrize(
    ("frame", "options"),
    [(sharp(0), {"lossless": True}), (sharp(0)[..., 0].astype(np.uint16) * 257, {})],
    ids=["asked for", "of 16 bits"],
)
def test_a_lossless_file_has_each_pixel(frames, tmp_path, frame, options):
    ran(Scripted(frame), frames, **options)
    (name,) = names(tmp_path)
    assert np.array_equal(cv2.imread(str(tmp_path / name), cv2.IMREAD_UNCHANGED), frame)


def test_a_camera_that_is_away_is_said_once_and_tried_again(frames, capfd):
    script = [sharp(0), CameraAway("camera: it went"), sharp(1)]
    _, metrics = ran(Scripted(*script, away=3), frames)
    assert counts(metrics) == {"taken": 2}
    said = [line for line in capfd.readouterr().err.splitlines() if "no more" not in line]
    assert said[:4] == [
        "onegauge: no frames come: camera: it is away",
        "onegauge: camera is there again",
        "onegauge: no frames come: camera: it went",
        "onegauge: camera is there again",
    ]


def test_a_moment_without_a_frame_is_counted_and_said_once(frames, capfd):
    damaged = DamagedFrame("a frame came incomplete")
    _, metrics = ran(Scripted(sharp(0), None, damaged, None, sharp(1)), frames)
    assert counts(metrics) == {"taken": 2, "missed": 3}
    said = capfd.readouterr().err
    assert said.count("camera: no frame came in time of part 4711") == 1
    assert said.count("frames come again") == 1


def test_a_moment_that_is_over_asks_for_no_frame(frames):
    _, metrics = ran(Late(), frames)
    assert counts(metrics) == {"missed": 3}


def test_an_input_that_tells_nothing_has_missed_nothing(frames, capfd):
    camera = Scripted(None, None, sharp(0), is_sure=False)
    _, metrics = ran(camera, frames)
    assert counts(metrics) == {"taken": 1}
    assert camera.checks == 2
    assert "no frame" not in capfd.readouterr().err


def test_no_more_frames_are_taken_than_may_wait(frames, tmp_path, capfd):
    _, metrics = ran(Scripted(*(sharp(number) for number in range(5))), frames)
    assert len(list(names(tmp_path))) == 3
    assert counts(metrics) == {"taken": 3, "not_taken": 2}
    assert capfd.readouterr().err.count("no more frames are taken: too many wait") == 1


def test_a_full_disk_is_said_once_and_ends_nothing(tmp_path, capfd):
    frames = Full(tmp_path, 10)
    _, metrics = ran(Scripted(*(sharp(number) for number in range(4))), frames)
    assert counts(metrics) == {"taken": 2, "unwritten": 2}
    said = capfd.readouterr().err
    assert said.count("frames are lost: folder: No space left on device") == 1
    assert said.count("frames are written again") == 1


@pytest.mark.parametrize("failure", [CameraError("set PixelFormat to Mono8"), ZeroDivisionError()])
def test_what_only_a_person_can_correct_ends_it(frames, failure):
    stop = Event()
    camera = Scripted(sharp(0), failure)
    grabber = Grabber(camera, camera, Gate(Bounds()), frames, Metrics())
    grabber.run(stop)
    assert grabber.failure is failure
    assert stop.is_set()
    assert not camera.is_open
