import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event
from time import sleep

import pytest

from onegauge.client import Client, ClientError
from onegauge.client.watch.watch import PACE, Station, Watch
from rig.gateway_process import gateway_process
from tests.client.watch.watched import decisions, lines, watching
from tests.line import wait_until
from tests.service.served import served


@pytest.fixture(scope="module")
def url(gauge_repository: Path) -> Iterator[str]:
    with served(gauge_repository) as url:
        yield url


def test_new_files_are_inspected_once_each(station, url, normal, defective):
    (station.folder / "early.png").write_bytes(normal)
    with watching(station, Client(url, retries=0)):
        wait_until(lambda: len(lines(station)) == 1)
        (station.folder / "shift").mkdir()
        (station.folder / "shift" / "late.png").write_bytes(defective)
        (station.folder / "text.jpg").write_bytes(b"no image")
        (station.folder / "notes.txt").write_bytes(b"not for us")
        wait_until(lambda: len(lines(station)) == 3)
        sleep(0.3)  # time in which something could be inspected twice
    assert decisions(station) == {
        "early.png": "normal",
        "shift/late.png": "anomalous",
        "text.jpg": "problem",
    }
    line = next(line for line in lines(station) if line["path"] == "shift/late.png")
    assert line["regions"]
    assert line["model"]["version"] == "1"
    assert line["size"] == len(defective)


def test_file_is_left_alone_while_it_grows(station, url, normal):
    file = station.folder / "slow.png"
    with watching(station, Client(url, retries=0), PACE):
        for end in range(0, len(normal), len(normal) // 8):
            file.write_bytes(normal[: end + 1])
            sleep(0.15)
        file.write_bytes(normal)
        wait_until(lambda: len(lines(station)) == 1)
    assert decisions(station) == {"slow.png": "normal"}


def test_rejects_are_linked(station, url, normal, defective):
    (station.folder / "a.png").write_bytes(normal)
    (station.folder / "b.png").write_bytes(defective)
    with watching(station, Client(url, retries=0)):
        wait_until(lambda: len(lines(station)) == 2)
        wait_until((station.rejects / "b.png").exists)
    assert (station.rejects / "b.png").samefile(station.folder / "b.png")
    assert not (station.rejects / "a.png").exists()


def test_rejects_are_moved_and_overwrite_none_of_their_name(station, url, defective):
    station = replace(station, rejects=station.folder / "rejects", move=True)
    file = station.folder / "latest.png"
    with watching(station, Client(url, retries=0)):
        for count in (1, 2):
            file.write_bytes(defective)
            wait_until(lambda: not file.exists())
            assert len(list(station.rejects.iterdir())) == count
    assert len(lines(station)) == 2


def test_rejects_below_the_folder_are_not_inspected_again(station, url, defective, monkeypatch):
    monkeypatch.chdir(station.folder.parent)
    below = Path("camera") / ".." / "camera" / "rejects"
    station = Station(Path("camera"), station.jsonl, station.options, below)
    (station.folder / "bad.png").write_bytes(defective)
    with watching(station, Client(url, retries=0)):
        wait_until((below / "bad.png").exists)
        sleep(0.3)  # time in which the link could be inspected
    assert decisions(station) == {"bad.png": "anomalous"}


def test_gateway_may_restart(station, gauge_repository, normal, capfd):
    settings = {"ONEGAUGE_API_KEYS": "off"}
    said: list[str] = []

    def files_wait() -> bool:
        said.append(capfd.readouterr().err)
        return "files wait" in "".join(said)

    for index in range(5):
        (station.folder / f"{index}.png").write_bytes(normal)
    with (
        gateway_process(gauge_repository, **settings) as first,
        watching(station, Client(first.url, retries=0)),
    ):
        wait_until(lambda: len(lines(station)) == 5)
        first.popen.kill()
        first.popen.wait()
        for index in range(5, 20):
            (station.folder / f"{index}.png").write_bytes(normal)
        wait_until(files_wait)
        with gateway_process(gauge_repository, **{**settings, "ONEGAUGE_PORT": str(first.port)}):
            wait_until(lambda: len(lines(station)) == 20)
    assert decisions(station) == {f"{index}.png": "normal" for index in range(20)}
    files_wait()
    assert "".join(said).count("files wait") == 1


def test_started_again_it_goes_on_after_the_last_whole_line(station, url, normal, defective):
    for index in range(3):
        (station.folder / f"{index}.png").write_bytes(normal)
    (station.folder / "bad.png").write_bytes(defective)
    with watching(station, Client(url, retries=0)):
        wait_until(lambda: len(lines(station)) == 4)
    text = station.jsonl.read_text()
    station.jsonl.write_text(text[: text.rindex('"path"') + 20])  # a power failure cut it off
    with watching(station, Client(url, retries=0)):
        wait_until(lambda: station.jsonl.read_text() == text or len(decisions(station)) == 4)
    assert decisions(station) == {
        **{f"{i}.png": "normal" for i in range(3)},
        "bad.png": "anomalous",
    }


def test_reject_whose_line_was_written_last_is_still_put_by(station, url, defective):
    (station.folder / "bad.png").write_bytes(defective)
    with watching(station, Client(url, retries=0)):
        wait_until((station.rejects / "bad.png").exists)
    (station.rejects / "bad.png").unlink()  # as if it had ended between the line and the link
    with watching(station, Client(url, retries=0)):
        wait_until((station.rejects / "bad.png").exists)
    assert len(lines(station)) == 1


def test_another_file_is_not_taken_for_a_journal(station, url):
    station.jsonl.write_text("{}\n")
    with pytest.raises(ClientError, match=r"found\.jsonl was not written"), Client(url) as client:
        Watch(station, client)


def test_absent_folder_is_named(station, url):
    station.folder.rmdir()
    with pytest.raises(ClientError, match="no such folder"), Client(url) as client:
        Watch(station, client)


def test_wrong_key_ends_it(station, gauge_repository, normal, tmp_path):
    (station.folder / "a.png").write_bytes(normal)
    (tmp_path / "keys").write_text("")
    with (
        served(gauge_repository, api_keys=tmp_path / "keys") as url,
        Client(url) as client,
        pytest.raises(ClientError, match="401"),
    ):
        Watch(station, client).run(Event())


def test_command_ends_with_its_signal_and_status_0(station, url, normal):
    (station.folder / "a.png").write_bytes(normal)
    command = [sys.executable, "-m", "onegauge", "watch", str(station.folder)]
    options = ["--jsonl", str(station.jsonl), "--url", url, "--line", "press"]
    with subprocess.Popen([*command, *options]) as process:
        wait_until(lambda: len(lines(station)) == 1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
