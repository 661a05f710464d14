import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread, current_thread, main_thread
from time import monotonic, sleep

import httpx
import pytest

from service.arrivals import Pace
from service.client import Client, ClientError
from service.pauses import Pauses
from service.schemas import Options
from service.watch import TRIES, Post, Watch
from tests.gateway_process import gateway_process
from tests.service.fake_gateway import MODEL, FakeGateway, error, page, problem
from tests.service.served import served

SHORT = Pauses(0.01, 0.1)
QUICK = Pace(look_s=0.01, settled_s=0.03, cut_off_s=0.06, away=SHORT, again=SHORT)
ROOT = Path(__file__).parents[2]


@pytest.fixture
def post(tmp_path: Path) -> Post:
    (tmp_path / "camera").mkdir()
    return Post(tmp_path / "camera", tmp_path / "found.jsonl", Options(), tmp_path / "rejects")


@pytest.fixture(scope="module")
def url(gauge_repository: Path) -> Iterator[str]:
    with served(gauge_repository) as url:
        yield url


def lines(post: Post) -> list[dict[str, object]]:
    text = post.jsonl.read_text() if post.jsonl.exists() else ""
    return [json.loads(line) for line in text.splitlines()]


def decisions(post: Post) -> dict[str, str]:
    """The decision of each path; fails where one has two lines."""
    found = lines(post)
    assert len({line["path"] for line in found}) == len(found)
    return {line["path"]: line.get("decision", "problem") for line in found}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + 20
    while not condition():
        assert monotonic() < deadline, "it did not come about"
        sleep(0.02)


@contextmanager
def watching(post: Post, url: str) -> Iterator[None]:
    """Watches while the block lasts."""
    stop = Event()
    with Client(url, retries=0) as client:
        thread = Thread(target=Watch(post, client).run, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def asking(post: Post, gateway: FakeGateway) -> Iterator[Thread]:
    """Watches without patience, while the block lasts, and asks a gateway that is one function."""
    stop = Event()
    with Client("http://gateway", retries=0, transport=httpx.MockTransport(gateway)) as client:
        thread = Thread(target=Watch(post, client, QUICK).run, args=(stop,))
        thread.start()
        try:
            yield thread
        finally:
            stop.set()
            thread.join()


class Said:
    """All that was said on standard error."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self._capfd, self._text = capfd, ""

    def __call__(self) -> str:
        self._text += self._capfd.readouterr().err
        return self._text


def put(post: Post, *names: str, data: bytes = b"picture") -> None:
    for name in names:
        (post.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (post.folder / name).write_bytes(data)


def test_new_files_are_inspected_once_each(post, url, normal, defective):
    (post.folder / "early.png").write_bytes(normal)
    with watching(post, url):
        wait_until(lambda: len(lines(post)) == 1)
        (post.folder / "shift").mkdir()
        (post.folder / "shift" / "late.png").write_bytes(defective)
        (post.folder / "text.jpg").write_bytes(b"no image")
        (post.folder / "notes.txt").write_bytes(b"not for us")
        wait_until(lambda: len(lines(post)) == 3)
        sleep(1)  # time in which something could be inspected twice
    assert decisions(post) == {
        "early.png": "normal",
        "shift/late.png": "anomalous",
        "text.jpg": "problem",
    }
    line = next(line for line in lines(post) if line["path"] == "shift/late.png")
    assert line["regions"]
    assert line["model"]["version"] == "1"
    assert line["size"] == len(defective)


def test_file_is_left_alone_while_it_grows(post, url, normal):
    file = post.folder / "slow.png"
    with watching(post, url):
        for end in range(0, len(normal), len(normal) // 8):
            file.write_bytes(normal[: end + 1])
            sleep(0.15)
        file.write_bytes(normal)
        wait_until(lambda: len(lines(post)) == 1)
    assert decisions(post) == {"slow.png": "normal"}


def test_rejects_are_linked(post, url, normal, defective):
    (post.folder / "a.png").write_bytes(normal)
    (post.folder / "b.png").write_bytes(defective)
    with watching(post, url):
        wait_until(lambda: len(lines(post)) == 2)
        wait_until((post.rejects / "b.png").exists)
    assert (post.rejects / "b.png").samefile(post.folder / "b.png")
    assert not (post.rejects / "a.png").exists()


def test_rejects_are_moved_and_overwrite_none_of_their_name(post, url, defective):
    post = Post(post.folder, post.jsonl, post.options, post.folder / "rejects", move=True)
    file = post.folder / "latest.png"
    with watching(post, url):
        for count in (1, 2):
            file.write_bytes(defective)
            wait_until(lambda: not file.exists())
            assert len(list(post.rejects.iterdir())) == count
    assert len(lines(post)) == 2


def test_rejects_below_the_folder_are_not_inspected_again(post, url, defective, monkeypatch):
    monkeypatch.chdir(post.folder.parent)
    below = Path("camera") / ".." / "camera" / "rejects"
    post = Post(Path("camera"), post.jsonl, post.options, below)
    (post.folder / "bad.png").write_bytes(defective)
    with watching(post, url):
        wait_until((below / "bad.png").exists)
        sleep(1)  # time in which the link could be inspected
    assert decisions(post) == {"bad.png": "anomalous"}


def test_files_that_cannot_be_read_keep_nobody_else_waiting(post, capfd):
    for index in range(10):
        (post.folder / f"{index}.png").symlink_to("/proc/self/mem")
    (post.folder / "later.png").write_bytes(b"picture")
    with asking(post, FakeGateway()):
        wait_until(lambda: len(lines(post)) == 1)
        assert decisions(post) == {"later.png": "normal"}
        said = Said(capfd)
        wait_until(lambda: said().count(".png waits: ") == 10)
        for index in range(10):
            (post.folder / f"{index}.png").unlink()
            (post.folder / f"{index}.png").write_bytes(b"picture")
        wait_until(lambda: len(lines(post)) == 11)
    assert said().count(".png waits: ") == 10


def test_gateway_may_restart(post, gauge_repository, normal, capfd):
    settings = {"ONEGAUGE_API_KEYS": "off"}
    for index in range(5):
        (post.folder / f"{index}.png").write_bytes(normal)
    with gateway_process(gauge_repository, **settings) as first, watching(post, first.url):
        wait_until(lambda: len(lines(post)) == 5)
        first.popen.kill()
        first.popen.wait()
        for index in range(5, 20):
            (post.folder / f"{index}.png").write_bytes(normal)
        sleep(1)
        with gateway_process(gauge_repository, **{**settings, "ONEGAUGE_PORT": str(first.port)}):
            wait_until(lambda: len(lines(post)) == 20)
    assert decisions(post) == {f"{index}.png": "normal" for index in range(20)}
    assert capfd.readouterr().err.count("files wait") == 1


def test_started_again_it_goes_on_after_the_last_whole_line(post, url, normal, defective):
    for index in range(3):
        (post.folder / f"{index}.png").write_bytes(normal)
    (post.folder / "bad.png").write_bytes(defective)
    with watching(post, url):
        wait_until(lambda: len(lines(post)) == 4)
    text = post.jsonl.read_text()
    post.jsonl.write_text(text[: text.rindex('"path"') + 20])  # the power went off while it wrote
    with watching(post, url):
        wait_until(lambda: post.jsonl.read_text() == text or len(decisions(post)) == 4)
    assert decisions(post) == {**{f"{i}.png": "normal" for i in range(3)}, "bad.png": "anomalous"}


def test_reject_whose_line_was_written_last_is_still_put_by(post, url, defective):
    (post.folder / "bad.png").write_bytes(defective)
    with watching(post, url):
        wait_until((post.rejects / "bad.png").exists)
    (post.rejects / "bad.png").unlink()  # as if it had ended between the line and the link
    with watching(post, url):
        wait_until((post.rejects / "bad.png").exists)
    assert len(lines(post)) == 1


def test_another_file_is_not_taken_for_a_journal(post, url):
    post.jsonl.write_text("{}\n")
    with pytest.raises(ClientError, match=r"found\.jsonl was not written"), Client(url) as client:
        Watch(post, client)


def test_absent_folder_is_named(post, url):
    post.folder.rmdir()
    with pytest.raises(ClientError, match="no such folder"), Client(url) as client:
        Watch(post, client)


def test_wrong_key_ends_it(post, gauge_repository, normal, tmp_path):
    (post.folder / "a.png").write_bytes(normal)
    (tmp_path / "keys").write_text("")
    with (
        served(gauge_repository, api_keys=tmp_path / "keys") as url,
        Client(url) as client,
        pytest.raises(ClientError, match="401"),
    ):
        Watch(post, client).run(Event())


def test_command_ends_with_its_signal_and_status_0(post, url, normal):
    (post.folder / "a.png").write_bytes(normal)
    command = [sys.executable, "-m", "onegauge", "watch", str(post.folder)]
    options = ["--jsonl", str(post.jsonl), "--url", url, "--line", "press"]
    with subprocess.Popen([*command, *options], cwd=ROOT, env=os.environ) as process:
        wait_until(lambda: len(lines(post)) == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


FAILURES = {
    "500": problem(500),
    "502": problem(502),
    "503": problem(503),
    "504": problem(504),
    "400": problem(400),
    "proxy": page(502),
    "no gateway": page(200),
    "too few results": lambda: httpx.Response(200, json={"model": MODEL, "results": []}),
    "no end": error(httpx.ReadTimeout("timed out")),
    "reset": error(httpx.ReadError("connection reset by peer")),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_picture_that_fails_for_ever_holds_up_no_other_and_is_on_record(post, failure, capfd):
    gateway = FakeGateway({"0.png": FAILURES[failure]})
    put(post, *(f"{index}.png" for index in range(20)))
    with asking(post, gateway):
        wait_until(lambda: len(lines(post)) >= 19)
        for index in range(20, 20 + 2 * TRIES):
            put(post, f"{index}.png")
            wait_until(lambda name=f"{index}.png": name in decisions(post))
        wait_until((post.rejects / "0.png").exists)
    assert len(decisions(post)) == 20 + 2 * TRIES
    (line,) = (line for line in lines(post) if line["path"] == "0.png")
    assert line["problem"]
    assert line["retry"] is True
    assert capfd.readouterr().err.count("0.png gets no decision") == 1


def test_picture_that_failed_is_decided_when_it_can_be(post):
    gateway = FakeGateway({"0.png": problem(502), "1.png": problem(502)})
    put(post, "0.png", "1.png", "2.png")
    with asking(post, gateway):
        wait_until((post.rejects / "0.png").exists)
        wait_until((post.rejects / "1.png").exists)
        gateway.failing.clear()
        wait_until(lambda: len(lines(post)) == 5)
        wait_until(lambda: not (post.rejects / "0.png").exists())
    assert {line["path"] for line in lines(post)[3:]} == {"0.png", "1.png"}
    assert all(line["decision"] == "normal" for line in lines(post)[3:])


def test_picture_that_failed_is_tried_again_after_a_start_and_said_once(post):
    gateway = FakeGateway({"0.png": problem(502)})
    put(post, "0.png")
    with asking(post, gateway):
        wait_until((post.rejects / "0.png").exists)
    asked = len(gateway.asked)
    with asking(post, gateway):
        wait_until(lambda: len(gateway.asked) > asked + 2 * TRIES)
        assert len(lines(post)) == 1
        gateway.failing.clear()
        wait_until(lambda: len(lines(post)) == 2)
    assert lines(post)[1]["decision"] == "normal"


def test_picture_that_takes_the_gateway_down_holds_up_no_other(post):
    gateway = FakeGateway()

    def crash() -> httpx.Response:
        gateway.is_ready = False
        raise httpx.RemoteProtocolError("Server disconnected without sending a response")

    gateway.failing["0.png"] = crash
    put(post, *(f"{index}.png" for index in range(20)))
    with asking(post, gateway):
        wait_until(lambda: len(lines(post)) >= 19)
        while not (post.rejects / "0.png").exists():
            tried = len(gateway.asked)
            gateway.is_ready = True  # it was started again, and nothing else comes
            wait_until(lambda tried=tried: len(gateway.asked) > tried)
    assert decisions(post)["0.png"] == "problem"


def test_pictures_that_are_too_slow_together_are_sent_one_by_one(post):
    gateway = FakeGateway()

    class Slow(dict):
        """A failure at every file, if there is more than one."""

        def __contains__(self, _name: str) -> bool:
            return len(gateway.asked[-1]) > 1

        def __getitem__(self, _name: str) -> object:
            return problem(504)

    gateway.failing = Slow()
    put(post, *(f"{index}.png" for index in range(8)))
    with asking(post, gateway):
        wait_until(lambda: len(lines(post)) == 8)
    assert set(decisions(post).values()) == {"normal"}


@pytest.mark.parametrize("ready", [False, True])
def test_no_picture_is_blamed_while_the_gateway_has_no_answer_for_any(post, ready, capfd):
    """Overloaded, it may still be ready."""
    gateway = FakeGateway({f"{index}.png": problem(503) for index in range(2)}, is_ready=ready)
    put(post, *gateway.failing)
    with asking(post, gateway):
        wait_until(lambda: len(gateway.asked) > 2 * (TRIES + 1) + 2)
        assert lines(post) == []
        gateway.failing.clear()
        wait_until(lambda: len(lines(post)) == 2)
    assert set(decisions(post).values()) == {"normal"}
    said = capfd.readouterr().err
    assert said.count("files wait: ") == 1
    assert said.count("the gateway answers") == 1


def test_gateway_that_is_away_is_not_asked_for_every_picture(post):
    gateway = FakeGateway(is_there=False)
    put(post, *(f"{index}.png" for index in range(20)))
    with asking(post, gateway) as thread:
        thread.join(0.3)
        gateway.is_there = True
        wait_until(lambda: len(lines(post)) == 20)
    assert len(gateway.asked[0]) == 8


def test_proxy_without_a_gateway_behind_it_ends_nothing_that_has_worked(post):
    gateway = FakeGateway({"1.png": page(404)}, is_ready=False)
    put(post, "0.png")
    with asking(post, gateway) as thread:
        wait_until(lambda: len(lines(post)) == 1)
        put(post, "1.png")
        wait_until(lambda: len(gateway.asked) > 5)
        assert thread.is_alive()
        gateway.failing.clear()
        wait_until(lambda: len(lines(post)) == 2)


def test_wrong_address_ends_it(post):
    put(post, "0.png")
    client = Client("http://gateway", transport=httpx.MockTransport(lambda _: page(404)()))
    with client, pytest.raises(ClientError, match="404"):
        Watch(post, client, QUICK).run(Event())


def test_name_that_spoils_the_request_is_refused_alone(post):
    gateway = FakeGateway({"0.png": problem(413, "too many bytes")})
    put(post, *(f"{index}.png" for index in range(8)))
    with asking(post, gateway):
        wait_until(lambda: len(lines(post)) == 8)
        wait_until((post.rejects / "0.png").exists)
    (line,) = (line for line in lines(post) if line["path"] == "0.png")
    assert line["problem"] == "too many bytes"
    assert "retry" not in line


def test_decisions_go_on_while_rejects_cannot_be_put_by(post, capfd):
    post.rejects.touch()
    put(post, "bad0.png", "good.png", "bad1.png")
    with asking(post, FakeGateway()):
        wait_until(lambda: len(lines(post)) == 3)
    with asking(post, FakeGateway()):  # started again
        put(post, "bad2.png")
        wait_until(lambda: len(lines(post)) == 4)
        post.rejects.unlink()
        for name in ("bad0.png", "bad1.png", "bad2.png"):
            wait_until((post.rejects / name).exists)
    assert len(decisions(post)) == 4
    assert capfd.readouterr().err.count("rejects wait: ") == 2


@pytest.mark.parametrize("move", [False, True])
def test_file_that_goes_before_it_is_put_by_ends_nothing(post, move):
    post = replace(post, move=move)

    class Taken(FakeGateway):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            (post.folder / "bad.png").unlink(missing_ok=True)
            return super().__call__(request)

    put(post, "bad.png")
    with asking(post, Taken()):
        wait_until(lambda: len(lines(post)) == 1)
        put(post, "good.png")
        wait_until(lambda: len(lines(post)) == 2)
    assert not post.rejects.exists() or not list(post.rejects.iterdir())


def test_half_of_a_picture_is_neither_decided_nor_moved(post, normal):
    post = replace(post, move=True)
    put(post, "bad.png", data=normal[:-20])
    gateway = FakeGateway()
    pace = replace(QUICK, cut_off_s=60)
    stop = Event()
    with Client("http://gateway", transport=httpx.MockTransport(gateway)) as client:
        watch = Watch(post, client, pace)
        thread = Thread(target=watch.run, args=(stop,))
        thread.start()
        put(post, "other.png")
        wait_until(lambda: len(lines(post)) == 1)
        put(post, "bad.png", data=normal)
        wait_until((post.rejects / "bad.png").exists)
        stop.set()
        thread.join()
    assert (post.rejects / "bad.png").read_bytes() == normal
    assert decisions(post) == {"other.png": "normal", "bad.png": "anomalous"}


def test_file_that_changes_after_it_was_judged_is_judged_again(post):
    gateway = FakeGateway({"part.png": problem(422, "truncated")})
    put(post, "part.png", data=b"half")
    with asking(post, gateway):
        wait_until((post.rejects / "part.png").exists)
        gateway.failing.clear()
        put(post, "part.png", data=b"half and half")
        wait_until(lambda: len(lines(post)) == 2)
        wait_until(lambda: not (post.rejects / "part.png").exists())
    assert [line.get("decision") for line in lines(post)] == [None, "normal"]


def test_decisions_wait_for_room_in_the_journal_and_are_not_asked_for_again(post, capfd):
    gateway = FakeGateway()
    put(post, "bad.png")
    with asking(post, gateway):
        wait_until(lambda: len(lines(post)) == 1)
        folder = post.jsonl.parent / "away"
        post.jsonl.rename(post.jsonl.with_suffix(".kept"))
        post.jsonl.mkdir()  # as good as a share that went away
        put(post, "bad1.png", "bad2.png")
        wait_until(lambda: len(gateway.asked) > 1)
        put(post, "late.png")
        Event().wait(0.3)  # time in which it could be asked again
        assert sum(len(names) for names in gateway.asked) <= 3
        assert not (post.rejects / "bad1.png").exists()
        post.jsonl.rename(folder)
        post.jsonl.with_suffix(".kept").rename(post.jsonl)
        wait_until(lambda: len(lines(post)) == 4)
    assert sum(len(names) for names in gateway.asked) == 4
    said = capfd.readouterr().err
    assert said.count("decisions wait: ") == 1
    assert said.count("is written again") == 1


def test_rejects_around_the_folder_would_hide_all_and_are_refused(post):
    for rejects in (post.folder, post.folder.parent):
        client = Client("http://gateway")
        with client, pytest.raises(ClientError, match="outside of"):
            Watch(replace(post, rejects=rejects), client)


def test_pipe_stops_nobody(post):
    os.mkfifo(post.folder / "pipe.png")
    (post.folder / "folder.png").mkdir()
    (post.folder / "device.png").symlink_to("/dev/zero")
    put(post, "a.png")
    with asking(post, FakeGateway()):
        wait_until(lambda: len(lines(post)) == 1)
    assert decisions(post) == {"a.png": "normal"}


def test_links_in_a_circle_are_watched_once(post):
    put(post, "day/a.png")
    (post.folder / "day" / "again").symlink_to(post.folder)
    (post.folder.parent / "share").mkdir()
    (post.folder / "linked").symlink_to(post.folder.parent / "share")
    with asking(post, FakeGateway()):
        wait_until(lambda: len(lines(post)) == 1)
        (post.folder.parent / "share" / "bad.png").write_bytes(b"picture")
        wait_until((post.rejects / "linked" / "bad.png").exists)
    assert decisions(post) == {"day/a.png": "normal", "linked/bad.png": "anomalous"}


@pytest.mark.parametrize("call", ["scandir", "stat", "open", "fstat", "write", "fsync", "link"])
@pytest.mark.parametrize("number", [errno.ESTALE, errno.EACCES, errno.ENOTCONN])
def test_share_that_fails_at_any_call_ends_nothing(post, call, number, monkeypatch):
    """No share of a test goes away when it is told to."""
    put(post, "bad0.png", "1.png")
    true, failed, away = getattr(os, call), Event(), Event()

    def failing(what: object, *args: object, **options: object) -> object:
        if away.is_set() and current_thread() is not main_thread():
            failed.set()
            raise OSError(number, os.strerror(number), str(what))
        return true(what, *args, **options)

    monkeypatch.setattr(os, call, failing)
    with asking(post, FakeGateway()) as thread:
        wait_until(lambda: len(lines(post)) == 2)
        away.set()
        put(post, "bad2.png", "3.png")
        assert failed.wait(20)
        thread.join(0.1)
        assert thread.is_alive()
        away.clear()
        wait_until(lambda: len(lines(post)) == 4)
        wait_until((post.rejects / "bad2.png").exists)
    assert len(decisions(post)) == 4
