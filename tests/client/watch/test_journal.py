import json
import os
from pathlib import Path

import pytest

from onegauge.client import ClientError
from onegauge.client.watch.journal import Journal, Stamp, held

ONE, OTHER = Stamp(10, 1), Stamp(10, 2)
NORMAL, BAD = {"decision": "normal"}, {"decision": "anomalous"}


@pytest.fixture
def file(tmp_path):
    return tmp_path / "found.jsonl"


def paths(file: Path) -> list[str]:
    return [json.loads(line)["path"] for line in file.read_text().splitlines()]


def test_what_is_written_is_known_and_known_again_after_a_start(file):
    Journal(file).write("a.png", ONE, NORMAL)
    journal = Journal(file)
    assert journal.knows("a.png", ONE)
    assert not journal.knows("a.png", OTHER)
    assert not journal.knows("b.png", ONE)
    assert not journal.last.is_reject


def test_last_line_of_a_path_counts(file):
    journal = Journal(file)
    journal.write("a.png", ONE, BAD)
    journal.write("a.png", OTHER, NORMAL)
    for known in (journal, Journal(file)):
        assert known.line_of("a.png").stamp == OTHER
        assert not known.line_of("a.png").is_reject


def test_picture_that_is_tried_again_is_on_record_and_not_done(file):
    journal = Journal(file)
    journal.write("a.png", ONE, {"problem": "Inference failed", "retry": True})
    for known in (journal, Journal(file)):
        assert not known.knows("a.png", ONE)
        assert known.line_of("a.png").stamp == ONE
        assert known.line_of("a.png").is_reject


def test_line_that_a_crash_cut_off_is_forgotten(file):
    journal = Journal(file)
    for name in ("a.png", "b.png"):
        journal.write(name, ONE, NORMAL)
    file.write_bytes(file.read_bytes()[:-5])
    journal = Journal(file)
    assert journal.knows("a.png", ONE)
    assert not journal.knows("b.png", ONE)
    journal.write("c.png", ONE, NORMAL)
    assert paths(file) == ["a.png", "c.png"]


def test_nothing_stays_of_a_line_for_which_there_was_no_room(file, monkeypatch):
    journal = Journal(file)
    journal.write("a.png", ONE, NORMAL)
    with monkeypatch.context() as patched:
        full_disk(patched)
        with pytest.raises(OSError, match="No space"):
            journal.write("b.png", ONE, NORMAL)
    assert not journal.knows("b.png", ONE)
    journal.write("c.png", ONE, NORMAL)
    assert paths(file) == ["a.png", "c.png"]


def test_nothing_stays_of_the_first_line_either(file, monkeypatch):
    journal = Journal(file)
    with monkeypatch.context() as patched:
        full_disk(patched)
        with pytest.raises(OSError, match="No space"):
            journal.write("a.png", ONE, NORMAL)
    journal.write("a.png", ONE, NORMAL)
    assert paths(file) == ["a.png"]


def full_disk(patched: pytest.MonkeyPatch) -> None:
    """No file can be made longer by more than 20 bytes: no disk of a test can be filled."""
    import onegauge.client.json_lines

    write, left = onegauge.client.json_lines.os.write, 20

    def write_some(descriptor: int, data: bytes) -> int:
        nonlocal left
        if not left:
            raise OSError(28, "No space left on device")
        left -= (written := write(descriptor, data[:left]))
        return written

    patched.setattr(onegauge.client.json_lines.os, "write", write_some)


def test_file_that_was_taken_away_is_begun_anew(file):
    journal = Journal(file)
    journal.write("a.png", ONE, NORMAL)
    file.rename(file.with_suffix(".old"))
    journal.write("b.png", ONE, NORMAL)
    assert paths(file) == ["b.png"]


def test_names_that_are_no_utf_8_come_back_unchanged(file):
    Journal(file).write("b\udcff\u00e4.png", ONE, NORMAL)
    assert Journal(file).knows("b\udcff\u00e4.png", ONE)


@pytest.mark.parametrize("text", ["{}\n", "[]\n", "1\n", "no json\n", '{"path": "a"}\n'])
def test_another_file_is_not_taken_for_a_journal_and_stays_as_it_is(file, text):
    file.write_text(text)
    with pytest.raises(ClientError, match=r"found\.jsonl was not written by onegauge watch"):
        Journal(file)
    assert file.read_text() == text


def test_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ClientError, match=r"cannot open .*file/found\.jsonl"):
        Journal(tmp_path / "file" / "found.jsonl")


def test_pipe_and_device_are_no_journal(file):
    os.mkfifo(file)
    for path in (file, Path("/dev/full")):
        with pytest.raises(ClientError, match=f"{path}: it is not a regular file"):
            Journal(path)
        with pytest.raises(ClientError, match=f"{path}: it is not a regular file"), held(path):
            pass


def test_text_without_a_line_end_is_not_taken_for_a_line_that_was_cut_off(file):
    file.write_text("my notes")
    with pytest.raises(ClientError, match="was not written by onegauge watch"):
        Journal(file)
    assert file.read_text() == "my notes"


def test_zeros_of_a_power_failure_are_forgotten(file):
    Journal(file).write("a.png", ONE, NORMAL)
    with file.open("ab") as lines:
        lines.write(bytes(100))
    journal = Journal(file)
    journal.write("b.png", ONE, NORMAL)
    assert paths(file) == ["a.png", "b.png"]


def test_journal_is_for_one_run_at_a_time(file):
    with held(file), pytest.raises(ClientError, match="found.jsonl is used by another"), held(file):
        pass
    with held(file):
        Journal(file).write("a.png", ONE, NORMAL)
