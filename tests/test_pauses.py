import io

from onegauge.pauses import Pauses, Trouble, say


def test_pauses_grow_up_to_the_longest():
    pauses = Pauses(first_s=1.0, longest_s=10.0)
    for failures, longest in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (10_000, 10)]:
        assert longest / 2 <= pauses.after(failures) <= longest


def test_pauses_differ_so_that_not_all_come_back_at_once():
    assert len({Pauses(1.0, 10.0).after(1) for _ in range(9)}) > 1


def test_trouble_is_said_once_and_its_end_too(capsys):
    now = 100.0
    trouble = Trouble(Pauses(2.0, 60.0), lambda: now)
    assert not trouble.waits()
    trouble.ends("it works")
    for _ in range(3):
        trouble.begins("the disk is full")
        assert trouble.waits()
        now += 8.1
        assert not trouble.waits()
    trouble.ends("there is room")
    assert not trouble.waits()
    assert capsys.readouterr().err == "onegauge: the disk is full\nonegauge: there is room\n"


def test_what_fails_while_it_is_not_tried_makes_the_pause_no_longer():
    now = 100.0
    trouble = Trouble(Pauses(2.0, 60.0), lambda: now)
    for _ in range(9):
        trouble.begins("the disk is full")
    now += 2.0
    assert not trouble.waits()


class Full(io.StringIO):
    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_nobody_who_listens_ends_nothing(monkeypatch):
    closed = io.StringIO()
    closed.close()
    for stream in (closed, Full()):
        monkeypatch.setattr("sys.stderr", stream)
        say("unheard")


def test_standard_error_that_was_never_open_ends_nothing(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    say("unheard")
