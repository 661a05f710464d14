from time import time

import pytest

from onegauge.service.outbox.spool import Spool

MANY = 10**6


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool", MANY)


def emptied(spool):
    """All entries, the oldest first, which are then forgotten."""
    found = []
    while segment := spool.first():
        found += segment.entries
        spool.drop(segment)
    return found


def test_what_was_added_is_found_in_order_and_then_forgotten(spool):
    for i in range(5):
        assert len(spool.add([{"id": i, "name": "Prüf\n"}]).entries) == 1
    assert spool.size > 0
    assert emptied(spool) == [{"id": i, "name": "Prüf\n"} for i in range(5)]
    assert (spool.size, spool.first()) == (0, None)


def test_a_later_process_takes_over(spool, tmp_path):
    spool.add([{"id": 1}, {"id": 2}])
    size = spool.size
    later = Spool(tmp_path / "spool", MANY)
    later.look()
    assert later.size == size
    assert emptied(later) == [{"id": 1}, {"id": 2}]
    assert emptied(spool) == []  # the first one finds that it is gone


def test_what_another_process_of_the_folder_takes_meanwhile_is_passed_over(spool, tmp_path):
    spool.add([{"number": 1}])
    for name in ("0000000000001-000000-00000000.jsonl", "0000000000001-000000-00000000.draft"):
        (tmp_path / "spool" / name).symlink_to("gone")  # there when it is listed, and then not
    later = Spool(tmp_path / "spool", 10**6)
    later.look()
    assert later.first().entries == [{"number": 1}]


def test_of_a_segment_the_first_may_be_forgotten_and_the_rest_keeps_its_place(spool, tmp_path):
    spool.add([{"id": 1}, {"id": 2}, {"id": 3}])
    spool.add([{"id": 4}])
    size = spool.size
    spool.cut(spool.first(), 2)
    assert spool.size < size
    later = Spool(tmp_path / "spool", MANY)
    later.look()
    assert later.first().entries == [{"id": 3}]
    later.cut(later.first(), 1)
    assert emptied(later) == [{"id": 4}]


def test_the_age_of_what_waits_is_known(spool, tmp_path):
    assert spool.oldest is None
    before = time()
    spool.add([{"id": 1}])
    spool.add([{"id": 2}])
    later = Spool(tmp_path / "spool", MANY)
    later.look()
    assert before - 0.001 <= later.oldest == spool.oldest <= time()


def test_nothing_is_taken_beyond_the_bound(tmp_path):
    spool = Spool(tmp_path, 110)
    one = {"text": "x" * 30}
    assert spool.add([one]).entries == [one]
    assert spool.add([one] * 5).entries == [one]
    nothing = spool.add([one])
    assert nothing.entries == []
    spool.drop(nothing)
    assert spool.size <= 110
    assert len(emptied(spool)) == 2
    assert spool.add([one]).entries == [one]


def test_damaged_lines_are_counted_and_the_others_read(spool, tmp_path):
    spool.add([{"id": 1}, {"id": 2}, {"id": 3}])
    (file,) = (tmp_path / "spool").iterdir()
    file.write_bytes(file.read_bytes().replace(b'"id":2', b'"id":7')[:-3])
    segment = spool.first()
    assert (segment.entries, segment.damaged) == ([{"id": 1}], 2)


def test_a_full_disk_leaves_no_part_behind(spool, tmp_path, monkeypatch):
    spool.add([{"id": 1}])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.rename", full)
    with pytest.raises(OSError, match="No space"):
        spool.add([{"id": 2}])
    monkeypatch.undo()
    assert len(list((tmp_path / "spool").iterdir())) == 1
    assert emptied(spool) == [{"id": 1}]


def test_a_draft_of_a_process_that_was_killed_is_no_segment(spool, tmp_path):
    spool.add([{"id": 1}])
    (tmp_path / "spool" / "0000000000001-00000000.draft").write_bytes(b"0000")
    later = Spool(tmp_path / "spool", MANY)
    later.look()
    assert emptied(later) == [{"id": 1}]
