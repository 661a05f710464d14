import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from time import sleep

import pytest

from onegauge.client import Client, ClientError
from onegauge.client.watch.watch import PACE, Post, Watch
from rig.gateway_process import gateway_process
from tests.client.watch.watched import decisions, lines, wait_until, watching
from tests.service.served import served

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url(gauge_repository: Path) -> Iterator[str]:
    with served(gauge_repository) as url:
        yield url


def test_new_files_are_inspected_once_each(post, url, normal, defective):
    (post.folder / "early.png").write_bytes(normal)
    with watching(post, Client(url, retries=0)):
        wait_until(lambda: len(lines(post)) == 1)
        (post.folder / "shift").mkdir()
        (post.folder / "shift" / "late.png").write_bytes(defective)
        (post.folder / "text.jpg").write_bytes(b"no image")
        (post.folder / "notes.txt").write_bytes(b"not for us")
        wait_until(lambda: len(lines(post)) == 3)
        sleep(0.3)  # time in which something could be inspected twice
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
    with watching(post, Client(url, retries=0), PACE):
        for end in range(0, len(normal), len(normal) // 8):
            file.write_bytes(normal[: end + 1])
            sleep(0.15)
        file.write_bytes(normal)
        wait_until(lambda: len(lines(post)) == 1)
    assert decisions(post) == {"slow.png": "normal"}


def test_rejects_are_linked(post, url, normal, defective):
    (post.folder / "a.png").write_bytes(normal)
    (post.folder / "b.png").write_bytes(defective)
    with watching(post, Client(url, retries=0)):
        wait_until(lambda: len(lines(post)) == 2)
        wait_until((post.rejects / "b.png").exists)
    assert (post.rejects / "b.png").samefile(post.folder / "b.png")
    assert not (post.rejects / "a.png").exists()


def test_rejects_are_moved_and_overwrite_none_of_their_name(post, url, defective):
    post = Post(post.folder, post.jsonl, post.options, post.folder / "rejects", move=True)
    file = post.folder / "latest.png"
    with watching(post, Client(url, retries=0)):
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
    with watching(post, Client(url, retries=0)):
        wait_until((below / "bad.png").exists)
        sleep(0.3)  # time in which the link could be inspected
    assert decisions(post) == {"bad.png": "anomalous"}


def test_gateway_may_restart(post, gauge_repository, normal, capfd):
    settings = {"ONEGAUGE_API_KEYS": "off"}
    said: list[str] = []

    def files_wait() -> bool:
        said.append(capfd.readouterr().err)
        return "files wait" in "".join(said)

    for index in range(5):
        (post.folder / f"{index}.png").write_bytes(normal)
    with (
        gateway_process(gauge_repository, **settings) as first,
        watching(post, Client(first.url, retries=0)),
    ):
        wait_until(lambda: len(lines(post)) == 5)
        first.popen.kill()
        first.popen.wait()
        for index in range(5, 20):
            (post.folder / f"{index}.png").write_bytes(normal)
        wait_until(files_wait)
        with gateway_process(gauge_repository, **{**settings, "ONEGAUGE_PORT": str(first.port)}):
            wait_until(lambda: len(lines(post)) == 20)
    assert decisions(post) == {f"{index}.png": "normal" for index in range(20)}
    files_wait()
    assert "".join(said).count("files wait") == 1


def test_started_again_it_goes_on_after_the_last_whole_line(post, url, normal, defective):
    for index in range(3):
        (post.folder / f"{index}.png").write_bytes(normal)
    (post.folder / "bad.png").write_bytes(defective)
    with watching(post, Client(url, retries=0)):
        wait_until(lambda: len(lines(post)) == 4)
    text = post.jsonl.read_text()
    post.jsonl.write_text(text[: text.rindex('"path"') + 20])  # the power went off while it wrote
    with watching(post, Client(url, retries=0)):
        wait_until(lambda: post.jsonl.read_text() == text or len(decisions(post)) == 4)
    assert decisions(post) == {**{f"{i}.png": "normal" for i in range(3)}, "bad.png": "anomalous"}


def test_reject_whose_line_was_written_last_is_still_put_by(post, url, defective):
    (post.folder / "bad.png").write_bytes(defective)
    with watching(post, Client(url, retries=0)):
        wait_until((post.rejects / "bad.png").exists)
    (post.rejects / "bad.png").unlink()  # as if it had ended between the line and the link
    with watching(post, Client(url, retries=0)):
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
        assert process.wait(60) == 0
