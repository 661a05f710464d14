"""What fails for now ends nothing, and holds up nothing else."""

import errno
import os
from dataclasses import replace
from threading import Event, current_thread, main_thread

import httpx
import pytest

from onegauge.client import Client, ClientError
from onegauge.client.watch.watch import TRIES, Watch
from onegauge.pauses import Pauses
from tests.client.fake_gateway import FAILURES, FakeGateway, page, problem
from tests.client.watch.watched import (
    QUICK,
    Said,
    client_of,
    decisions,
    lines,
    put,
    watching,
)
from tests.line import wait_until


@pytest.mark.parametrize("failure", FAILURES)
def test_picture_that_fails_for_ever_holds_up_no_other_and_is_on_record(station, failure, capfd):
    gateway = FakeGateway({"0.png": FAILURES[failure]})
    put(station, *(f"{index}.png" for index in range(20)))
    with watching(station, client_of(gateway)):
        wait_until(lambda: len(lines(station)) >= 19)
        for index in range(20, 20 + 2 * TRIES):
            put(station, f"{index}.png")
            wait_until(lambda name=f"{index}.png": name in decisions(station))
        wait_until((station.rejects / "0.png").exists)
    assert len(decisions(station)) == 20 + 2 * TRIES
    (line,) = (line for line in lines(station) if line["path"] == "0.png")
    assert line["problem"]
    assert line["retry"] is True
    assert capfd.readouterr().err.count("0.png gets no decision") == 1


def test_picture_that_failed_is_not_tried_again_before_its_pause_is_over(station):
    gateway = FakeGateway({"0.png": problem(502)})
    put(station, *(f"{index}.png" for index in range(8)))
    with watching(station, client_of(gateway), replace(QUICK, again=Pauses(3600.0, 3600.0))):
        wait_until(lambda: len(lines(station)) == 7)
        put(station, "later.png")
        wait_until(lambda: len(lines(station)) == 8)
    assert gateway.asked.count(["0.png"]) == 1


def test_pictures_of_a_request_that_failed_come_after_others(station):
    gateway = FakeGateway({"0.png": problem(500)})
    put(station, *(f"{index}.png" for index in range(30)))
    os.utime(station.folder / "0.png", (1, 1))  # the oldest is the first
    with watching(station, client_of(gateway)):
        wait_until(lambda: sum("0.png" in names for names in gateway.asked) >= 2)
    _, second = [index for index, names in enumerate(gateway.asked) if "0.png" in names][:2]
    asked = {name for names in gateway.asked[:second] for name in names}
    assert len(asked) == 30


def test_picture_that_failed_is_not_tried_again_while_a_new_one_waits(station):
    gateway = FakeGateway()

    def fail() -> httpx.Response:
        if len(gateway.asked) == 1:
            put(station, *(f"{index}.png" for index in range(1, 21)))
        return problem(502)()

    gateway.failing["0.png"] = fail
    put(station, "0.png")
    at_once = replace(QUICK, settled_s=0.0, again=Pauses(0.0, 0.0))
    with watching(station, client_of(gateway), at_once):
        wait_until(lambda: gateway.asked.count(["0.png"]) >= 2)
    _, second = [index for index, names in enumerate(gateway.asked) if names == ["0.png"]][:2]
    assert len({name for names in gateway.asked[:second] for name in names}) == 21


def test_picture_that_failed_is_decided_when_it_can_be(station):
    gateway = FakeGateway({"0.png": problem(502), "1.png": problem(502)})
    put(station, "0.png", "1.png", "2.png")
    with watching(station, client_of(gateway)):
        wait_until((station.rejects / "0.png").exists)
        wait_until((station.rejects / "1.png").exists)
        gateway.failing.clear()
        wait_until(lambda: len(lines(station)) == 5)
        wait_until(lambda: not (station.rejects / "0.png").exists())
    assert {line["path"] for line in lines(station)[3:]} == {"0.png", "1.png"}
    assert all(line["decision"] == "normal" for line in lines(station)[3:])


def test_picture_that_failed_is_tried_again_after_a_start_and_said_once(station):
    gateway = FakeGateway({"0.png": problem(502)})
    put(station, "0.png")
    with watching(station, client_of(gateway)):
        wait_until((station.rejects / "0.png").exists)
    asked = len(gateway.asked)
    with watching(station, client_of(gateway)):
        wait_until(lambda: len(gateway.asked) > asked + 2 * TRIES)
        assert len(lines(station)) == 1
        gateway.failing.clear()
        wait_until(lambda: len(lines(station)) == 2)
    assert lines(station)[1]["decision"] == "normal"


def test_picture_that_takes_the_gateway_down_holds_up_no_other(station):
    gateway = FakeGateway()

    def crash() -> httpx.Response:
        gateway.is_ready = False
        raise httpx.RemoteProtocolError("Server disconnected without sending a response")

    gateway.failing["0.png"] = crash
    put(station, *(f"{index}.png" for index in range(20)))
    with watching(station, client_of(gateway)):
        wait_until(lambda: len(lines(station)) >= 19)
        for _ in range(2 * TRIES):
            if (station.rejects / "0.png").exists():
                break
            tried = len(gateway.asked)
            gateway.is_ready = True  # it was started again, and nothing else comes
            wait_until(lambda tried=tried: len(gateway.asked) > tried)
    assert decisions(station)["0.png"] == "problem"


def test_pictures_that_are_too_slow_together_are_sent_one_by_one(station):
    gateway = FakeGateway()

    class Slow(dict):
        """A failure at every file, if there is more than one."""

        def __contains__(self, _name: str) -> bool:
            return len(gateway.asked[-1]) > 1

        def __getitem__(self, _name: str) -> object:
            return problem(504)

    gateway.failing = Slow()
    put(station, *(f"{index}.png" for index in range(8)))
    with watching(station, client_of(gateway)):
        wait_until(lambda: len(lines(station)) == 8)
    assert set(decisions(station).values()) == {"normal"}


@pytest.mark.parametrize("ready", [False, True])
def test_no_picture_is_blamed_while_the_gateway_has_no_answer_for_any(station, ready, capfd):
    """Overloaded, it may still be ready."""
    gateway = FakeGateway({f"{index}.png": problem(503) for index in range(2)}, is_ready=ready)
    put(station, *gateway.failing)
    with watching(station, client_of(gateway)):
        wait_until(lambda: len(gateway.asked) > 2 * (TRIES + 1) + 2)
        assert lines(station) == []
        gateway.failing.clear()
        wait_until(lambda: len(lines(station)) == 2)
    assert set(decisions(station).values()) == {"normal"}
    said = capfd.readouterr().err
    assert said.count("files wait: ") == 1
    assert said.count("the gateway answers") == 1


def test_gateway_that_is_away_is_not_asked_for_every_picture(station):
    gateway = FakeGateway(is_there=False)
    put(station, *(f"{index}.png" for index in range(20)))
    pace = replace(QUICK, away=Pauses(3600.0, 3600.0))
    with watching(station, client_of(gateway), pace) as thread:
        wait_until(lambda: gateway.calls > 0)
        thread.join(0.2)  # time in which it could be asked again
    assert gateway.calls == 1


def test_full_requests_are_sent_again_after_a_failure(station):
    gateway = FakeGateway({"0.png": problem(502)})
    put(station, *(f"{index}.png" for index in range(8)))
    with watching(station, client_of(gateway), replace(QUICK, again=Pauses(3600.0, 3600.0))):
        wait_until(lambda: len(lines(station)) == 7)
        before = len(gateway.asked)
        put(station, *(f"later{index}.png" for index in range(40)))
        wait_until(lambda: len(lines(station)) == 47)
    assert max(map(len, gateway.asked[before:])) == 8


def test_proxy_without_a_gateway_behind_it_ends_nothing_that_has_worked(station):
    gateway = FakeGateway({"1.png": page(404)}, is_ready=False)
    put(station, "0.png")
    with watching(station, client_of(gateway)) as thread:
        wait_until(lambda: len(lines(station)) == 1)
        put(station, "1.png")
        wait_until(lambda: len(gateway.asked) > 5)
        assert thread.is_alive()
        gateway.failing.clear()
        wait_until(lambda: len(lines(station)) == 2)


def test_nothing_is_asked_any_more_once_it_is_told_to_stop(station):
    gateway, stop = FakeGateway(), Event()

    def last() -> httpx.Response:
        stop.set()
        return problem(422)()  # after which each picture would be asked for alone

    gateway.failing["0.png"] = last
    put(station, *(f"{index}.png" for index in range(8)))
    with client_of(gateway) as client:
        Watch(station, client, QUICK).run(stop)
    assert len(gateway.asked) == 1
    assert lines(station) == []


def test_wrong_address_ends_it(station):
    put(station, "0.png")
    client = Client("http://gateway", transport=httpx.MockTransport(lambda _: page(404)()))
    with client, pytest.raises(ClientError, match="404"):
        Watch(station, client, QUICK).run(Event())


def test_name_that_spoils_the_request_is_refused_alone(station):
    gateway = FakeGateway({"0.png": problem(413, "too many bytes")})
    put(station, *(f"{index}.png" for index in range(8)))
    with watching(station, client_of(gateway)):
        wait_until(lambda: len(lines(station)) == 8)
        wait_until((station.rejects / "0.png").exists)
    (line,) = (line for line in lines(station) if line["path"] == "0.png")
    assert line["problem"] == "too many bytes"
    assert "retry" not in line


def test_decisions_go_on_while_rejects_cannot_be_put_by(station, capfd):
    station.rejects.touch()
    put(station, "bad0.png", "good.png", "bad1.png")
    with watching(station, client_of(FakeGateway())):
        wait_until(lambda: len(lines(station)) == 3)
    with watching(station, client_of(FakeGateway())):  # started again
        put(station, "bad2.png")
        wait_until(lambda: len(lines(station)) == 4)
        station.rejects.unlink()
        for name in ("bad0.png", "bad1.png", "bad2.png"):
            wait_until((station.rejects / name).exists)
    assert len(decisions(station)) == 4
    assert capfd.readouterr().err.count("rejects wait: ") == 2


@pytest.mark.parametrize("move", [False, True])
def test_file_that_goes_before_it_is_put_by_ends_nothing(station, move):
    station = replace(station, move=move)

    class Taken(FakeGateway):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            (station.folder / "bad.png").unlink(missing_ok=True)
            return super().__call__(request)

    put(station, "bad.png")
    with watching(station, client_of(Taken())):
        wait_until(lambda: len(lines(station)) == 1)
        put(station, "good.png")
        wait_until(lambda: len(lines(station)) == 2)
    assert not station.rejects.exists() or not list(station.rejects.iterdir())


def test_half_of_a_picture_is_neither_decided_nor_moved(station, normal):
    station = replace(station, move=True)
    put(station, "bad.png", data=normal[:-20])
    with watching(station, client_of(FakeGateway()), replace(QUICK, cut_off_s=60)):
        put(station, "other.png")
        wait_until(lambda: len(lines(station)) == 1)
        put(station, "bad.png", data=normal)
        wait_until((station.rejects / "bad.png").exists)
    assert (station.rejects / "bad.png").read_bytes() == normal
    assert decisions(station) == {"other.png": "normal", "bad.png": "anomalous"}


def test_file_that_changes_after_it_was_judged_is_judged_again(station):
    gateway = FakeGateway({"part.png": problem(422, "truncated")})
    put(station, "part.png", data=b"half")
    with watching(station, client_of(gateway)):
        wait_until((station.rejects / "part.png").exists)
        gateway.failing.clear()
        put(station, "part.png", data=b"half and half")
        wait_until(lambda: len(lines(station)) == 2)
        wait_until(lambda: not (station.rejects / "part.png").exists())
    assert [line.get("decision") for line in lines(station)] == [None, "normal"]


def test_decisions_wait_for_room_in_the_journal_and_are_not_asked_for_again(station, capfd):
    gateway = FakeGateway()
    put(station, "bad.png")
    with watching(station, client_of(gateway)):
        wait_until(lambda: len(lines(station)) == 1)
        folder = station.jsonl.parent / "away"
        station.jsonl.rename(station.jsonl.with_suffix(".kept"))
        station.jsonl.mkdir()  # as good as a share that went away
        put(station, "bad1.png", "bad2.png")
        wait_until(lambda: len(gateway.asked) > 1)
        put(station, "late.png")
        Event().wait(0.3)  # time in which it could be asked again
        assert sum(len(names) for names in gateway.asked) <= 3
        assert not (station.rejects / "bad1.png").exists()
        station.jsonl.rename(folder)
        station.jsonl.with_suffix(".kept").rename(station.jsonl)
        wait_until(lambda: len(lines(station)) == 4)
    assert sum(len(names) for names in gateway.asked) == 4
    said = capfd.readouterr().err
    assert said.count("decisions wait: ") == 1
    assert said.count("is written again") == 1


def test_rejects_around_the_folder_would_hide_all_and_are_refused(station):
    for rejects in (station.folder, station.folder.parent):
        client = Client("http://gateway")
        with client, pytest.raises(ClientError, match="outside of"):
            Watch(replace(station, rejects=rejects), client)


def test_pipe_stops_nobody(station):
    os.mkfifo(station.folder / "pipe.png")
    (station.folder / "folder.png").mkdir()
    (station.folder / "device.png").symlink_to("/dev/zero")
    put(station, "a.png")
    with watching(station, client_of(FakeGateway())):
        wait_until(lambda: len(lines(station)) == 1)
    assert decisions(station) == {"a.png": "normal"}


def test_links_in_a_circle_are_watched_once(station):
    put(station, "day/a.png")
    (station.folder / "day" / "again").symlink_to(station.folder)
    (station.folder.parent / "share").mkdir()
    (station.folder / "linked").symlink_to(station.folder.parent / "share")
    with watching(station, client_of(FakeGateway())):
        wait_until(lambda: len(lines(station)) == 1)
        (station.folder.parent / "share" / "bad.png").write_bytes(b"picture")
        wait_until((station.rejects / "linked" / "bad.png").exists)
    assert decisions(station) == {"day/a.png": "normal", "linked/bad.png": "anomalous"}


@pytest.mark.parametrize("call", ["scandir", "stat", "open", "fstat", "write", "fsync", "link"])
@pytest.mark.parametrize("number", [errno.ESTALE, errno.EACCES])
def test_share_that_fails_at_any_call_ends_nothing(station, call, number, monkeypatch):
    """No share of a test goes away when it is told to."""
    put(station, "bad0.png", "1.png")
    true, failed, away = getattr(os, call), Event(), Event()

    def failing(what: object, *args: object, **options: object) -> object:
        if away.is_set() and current_thread() is not main_thread():
            failed.set()
            raise OSError(number, os.strerror(number), str(what))
        return true(what, *args, **options)

    monkeypatch.setattr(os, call, failing)
    with watching(station, client_of(FakeGateway())) as thread:
        wait_until(lambda: len(lines(station)) == 2)
        away.set()
        put(station, "bad2.png", "3.png")
        assert failed.wait(20)
        thread.join(0.1)
        assert thread.is_alive()
        away.clear()
        wait_until(lambda: len(lines(station)) == 4)
        wait_until((station.rejects / "bad2.png").exists)
    assert len(decisions(station)) == 4


def test_files_that_cannot_be_read_keep_nobody_else_waiting(station, capfd):
    for index in range(10):
        (station.folder / f"{index}.png").symlink_to("/proc/self/mem")
    (station.folder / "later.png").write_bytes(b"picture")
    with watching(station, client_of(FakeGateway())):
        wait_until(lambda: len(lines(station)) == 1)
        assert decisions(station) == {"later.png": "normal"}
        said = Said(capfd)
        wait_until(lambda: said().count(".png waits: ") == 10)
        for index in range(10):
            (station.folder / f"{index}.png").unlink()
            (station.folder / f"{index}.png").write_bytes(b"picture")
        wait_until(lambda: len(lines(station)) == 11)
    assert said().count(".png waits: ") == 10


def test_waiting_for_a_busy_gateway_ends_with_the_command(station):
    gateway, stop = FakeGateway(), Event()

    def busy() -> httpx.Response:
        stop.set()
        return httpx.Response(503, headers={"Retry-After": "30"})

    gateway.failing["0.png"] = busy
    put(station, "0.png")
    with Client(
        "http://gateway", transport=httpx.MockTransport(gateway), pause=stop.wait
    ) as client:
        Watch(station, client, QUICK).run(stop)
    assert gateway.calls == 1
    assert lines(station) == []


def test_rejects_that_are_a_link_to_itself_wait(station, capfd):
    station.rejects.symlink_to(station.rejects)
    put(station, "bad0.png")
    with watching(station, client_of(FakeGateway())):
        wait_until(lambda: len(lines(station)) == 1)
        wait_until((said := Said(capfd)).__call__)
    assert "rejects wait" in said()
