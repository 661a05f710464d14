import errno
import os
from pathlib import Path

import pytest

from onegauge.camera.frames import Frames, has_name
from onegauge.camera.quality import DETAILS, Fault
from onegauge.schemas.words import PART_MAX_LENGTH

FRAME = "20261130T160801.123456Z.jpg"
NORMAL, BAD = {"decision": "normal"}, {"decision": "anomalous"}


@pytest.fixture
def frames(tmp_path: Path) -> Frames:
    return Frames(tmp_path, 3)


def put(frames: Frames, folder: Path, part: str | None = None, fault: Fault | None = None) -> str:
    """The name of a new frame."""
    before = set(os.listdir(folder))
    frames.put(b"frame", ".png", part, fault)
    (name,) = set(os.listdir(folder)) - before
    return name


@pytest.mark.parametrize(
    "part", ["4711", "a/b", "..", ".hidden", "50 %", "A@B.blurred-1", "Teil-ß", "工件", "%41", None]
)
def test_a_name_tells_the_part(frames, tmp_path, part):
    assert part is None or has_name(part)
    name = put(frames, tmp_path, part)
    assert frames.asked_of(name).get("part") == part
    assert frames.problem_of(name) is None
    assert (tmp_path / name).read_bytes() == b"frame"
    assert not name.startswith(".")


@pytest.mark.parametrize("problem", DETAILS)
def test_a_name_tells_what_is_wrong(frames, tmp_path, problem):
    name = put(frames, tmp_path, "4711", Fault(problem, 0.31415))
    assert frames.asked_of(name) == {"part": "4711"}
    record = frames.problem_of(name)
    assert record["problem"] == problem
    assert ("0.31" in record["detail"]) == (problem != "frozen")


@pytest.mark.parametrize("value", [0.0, 1e-6, 1.0, 254.7])
def test_a_name_tells_how_bad_it_is(frames, tmp_path, value):
    record = frames.problem_of(put(frames, tmp_path, None, Fault("blurred", value)))
    assert float(record["detail"].split()[-1]) == pytest.approx(value, abs=0.005)


@pytest.mark.parametrize("name", ["a.png", "4711@20261130.png", "20261130T160801.123456Z.gif"])
def test_other_files_are_only_files(frames, name):
    assert frames.asked_of(name) == {}
    assert frames.problem_of(name) is None


def test_the_longest_part_that_has_a_name_can_be_written(frames, tmp_path):
    longest = max(range(PART_MAX_LENGTH + 1), key=lambda n: has_name("工" * n) * n)
    assert longest < PART_MAX_LENGTH
    assert frames.asked_of(put(frames, tmp_path, "工" * longest, Fault("blurred", 0.3)))


def test_only_so_many_wait(frames, tmp_path):
    frames.begin({"old.png"})
    (tmp_path / "old.png").touch()
    names = [put(frames, tmp_path) for _ in range(2)]
    assert frames.is_full()
    frames.done(names[0], {"problem": "it failed", "retry": True})
    assert frames.is_full()
    frames.done(names[0], BAD)
    assert not frames.is_full()


def test_files_that_somebody_has_removed_do_not_wait(frames, tmp_path):
    names = [put(frames, tmp_path) for _ in range(3)]
    assert frames.is_full()
    (tmp_path / names[0]).unlink()
    assert not frames.is_full()


def test_what_a_crash_left_half_written_is_removed(frames, tmp_path):
    (tmp_path / ".frame.png").write_bytes(b"half")
    (tmp_path / ".other").write_bytes(b"of somebody")
    frames.begin(set())
    assert os.listdir(tmp_path) == [".other"]


def test_a_frame_that_cannot_be_written_leaves_nothing(frames, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    for _ in range(3):
        with pytest.raises(OSError, match="No space"):
            frames.put(b"frame", ".png", None, None)
    assert os.listdir(tmp_path) == []
    assert not frames.is_full()


@pytest.mark.parametrize("keep", [True, False])
def test_normal_frames_go_unless_they_are_kept(tmp_path, keep):
    frames = Frames(tmp_path, 3, keep=keep)
    assert frames.done(FRAME, NORMAL) is not keep
    assert frames.done(FRAME, BAD) is False
    assert frames.done("a.jpg", NORMAL) is False  # which somebody else has put there


def test_of_many_frames_with_one_problem_the_first_stays(frames, tmp_path):
    def goes(problem: str | None) -> bool:
        name = put(frames, tmp_path, None, Fault(problem, 0.3) if problem else None)
        return frames.done(name, frames.problem_of(name) or BAD)

    told = ["blurred", "blurred", "blurred", "frozen", "blurred", None, "blurred", None, None]
    assert [goes(problem) for problem in told] == [False, True, True, *[False] * 6]


def test_it_is_over_when_no_frame_comes_and_none_waits(frames, tmp_path):
    name = put(frames, tmp_path)
    frames.ended.set()
    assert not frames.is_over()
    frames.done(name, NORMAL)
    assert frames.is_over()
