"""A camera and the folder of its frames: from frames to decisions, and what goes wrong."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event, Thread

import httpx
import pytest

from onegauge.camera.errors import CameraError
from onegauge.camera.watching import Camera, run
from onegauge.client.watch.journal import Journal, stamp_of
from onegauge.client.watch.watch import Station
from onegauge.schemas import Options
from rig.address import free_address
from rig.cameras import GIGE_ADDRESS, Rtsp, gige, rtsp
from rig.mosquitto import PASSWORD, USER, Mosquitto
from rig.small_disk import fill
from tests.camera.pictures import blurred, sharp, video
from tests.client.fake_gateway import FakeGateway, listening
from tests.client.watch.watched import Said, client_of, lines, until_stopped
from tests.line import wait_until


@pytest.fixture
def station(tmp_path: Path) -> Station:
    (tmp_path / "frames").mkdir()
    rejects = tmp_path / "rejects"
    return Station(tmp_path / "frames", tmp_path / "found.jsonl", Options(), rejects)


class Bad(FakeGateway):
    """Calls everything anomalous."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = super().__call__(request)
        if request.url.path == "/readyz":
            return answer
        found = answer.json()
        found["results"] = [r | {"decision": "anomalous"} for r in found["results"]]
        return httpx.Response(200, json=found)


class Asked(FakeGateway):
    """Remembers the part of each request, how many files it had, how many views, and which."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[tuple[str | None, int]] = []
        self.views: list[tuple[str | None, str | None]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = super().__call__(request)
        if request.url.path == "/v1/inspect":
            self.parts.append((request.url.params.get("part"), len(self.asked[-1])))
            params = request.url.params
            self.views.append((params.get("views"), params.get("view")))
        return answer


def ran(station: Station, gateway: FakeGateway, camera: Camera) -> None:
    """After the source has come to its end by itself, and all of its frames are done."""
    with client_of(gateway) as client:
        run(station, client, camera, Event())


@contextmanager
def running(station: Station, gateway: FakeGateway, camera: Camera) -> Iterator[Thread]:
    """While the block lasts."""
    with (
        client_of(gateway) as client,
        until_stopped(partial(run, station, client, camera)) as thread,
    ):
        yield thread


def command(station: Station, *options: str) -> list[str]:
    folder = [str(station.folder), "--jsonl", str(station.jsonl)]
    return [sys.executable, "-m", "onegauge", "watch", *folder, *options]


def gauge(address: str, name: str) -> float | None:
    """A metric of a camera; none while nobody answers."""
    with suppress(httpx.ConnectError):
        told = httpx.get(f"http://{address}/metrics").text
        return float(told.partition(f"\nonegauge_camera_{name} ")[2].split()[0])
    return None


def files(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.exists() else []


@pytest.mark.parametrize("keep", [True, False])
def test_each_frame_of_a_file_is_decided_and_normal_ones_go(station, tmp_path, keep):
    url = video(tmp_path / "a.avi", *(sharp(number) for number in range(5)))
    ran(station, FakeGateway(), Camera(url, every_s=0, keep=keep))
    assert [line["decision"] for line in lines(station)] == ["normal"] * 5
    kept = sorted(line["path"] for line in lines(station)) if keep else []
    assert files(station.folder) == kept
    assert files(station.rejects) == []


def test_a_folder_that_is_not_there_is_made(station, tmp_path):
    there = replace(station, folder=station.folder / "line" / "press")
    ran(there, FakeGateway(), Camera(video(tmp_path / "a.avi", sharp(0)), every_s=0))
    assert [line["decision"] for line in lines(there)] == ["normal"]


def test_anomalous_frames_are_put_by(station, tmp_path):
    url = video(tmp_path / "a.avi", sharp(0), sharp(1))
    ran(replace(station, move=True), Bad(), Camera(url, every_s=0))
    assert files(station.folder) == []
    assert files(station.rejects) == sorted(line["path"] for line in lines(station))


def test_nobody_is_asked_about_frames_that_are_not_worth_it(station, tmp_path):
    gateway = FakeGateway()
    frames = (sharp(0), blurred(1), blurred(2), sharp(3), sharp(3))
    ran(station, gateway, Camera(video(tmp_path / "a.avi", *frames), every_s=0))
    told = [line.get("decision") or line["problem"] for line in lines(station)]
    assert sorted(told) == ["blurred", "blurred", "frozen", "normal", "normal"]
    assert sum(map(len, gateway.asked)) == 2
    assert all("sharpness" in line["detail"] for line in lines(station) if "blurred" in str(line))
    kept = [name.split(".")[2][:6] for name in files(station.rejects)]
    assert kept == ["blurre", "frozen"]  # one is enough of those that follow each other
    assert files(station.folder) == files(station.rejects)


def test_a_line_of_text_takes_a_frame_of_its_part(station, tmp_path):
    url = video(tmp_path / "a.avi", *(sharp(number) for number in range(9)))
    gateway, parts = Asked(), ("4711", "4712", "", "A/ß")
    with listening(gateway) as address:
        options = ("--source", url, "--trigger", "-", "--url", address)
        pipe = subprocess.PIPE
        with subprocess.Popen(command(station, *options), stdin=pipe, stderr=pipe) as watch:
            for number, part in enumerate(parts, 1):
                watch.stdin.write(f"{part}\n".encode())
                watch.stdin.flush()
                wait_until(lambda number=number: len(lines(station)) == number)
            _, said = watch.communicate(timeout=60)
    assert gateway.parts == [(part or None, 1) for part in parts]
    assert watch.returncode == 0
    assert said.decode().startswith("onegauge: standard input has ended: what waits is")


def test_while_the_gateway_is_away_so_many_frames_wait(station, tmp_path, capfd):
    url = video(tmp_path / "a.avi", *(sharp(number) for number in range(8)))
    gateway, address, said = FakeGateway(is_there=False), free_address(), Said(capfd)
    camera = Camera(url, every_s=0, max_waiting=3, metrics=address)
    with running(station, gateway, camera) as thread:
        wait_until(lambda: "has ended" in said())
        assert len(files(station.folder)) == 3
        assert gauge(address, "waiting_frames") == 3
        told = httpx.get(f"http://{address}/metrics").text
        gateway.is_there = True
        thread.join()
    assert 'onegauge_camera_frames_total{outcome="not_taken"} 5.0' in told
    assert len(lines(station)) == 3
    assert said().count("no more frames are taken: too many wait") == 1


def test_frames_that_wait_are_decided_after_a_start_with_what_is_known_of_them(station, tmp_path):
    for name in ("4711@{}1{}", "4711@{}2{}", "4712@{}3{}", "4713@{}4Z.blurred-0.1.jpg"):
        (station.folder / name.format("20261130T160801.00000", "Z.jpg")).write_bytes(b"frame")
    gateway = Asked()
    ran(station, gateway, Camera(video(tmp_path / "a.avi", sharp(0)), every_s=0))
    assert sorted(gateway.parts, key=str) == [("4711", 2), ("4712", 1), (None, 1)]
    problems = {line["path"][:4]: line.get("problem") for line in lines(station)}
    assert problems == {"4711": None, "4712": None, "4713": "blurred", "2026": None}


def test_each_view_of_a_part_tells_how_many_there_are_and_which_it_is(station, tmp_path):
    for number in "12":
        (station.folder / f"4711@20261130T160801.00000{number}Z.jpg").write_bytes(b"frame")
    url, gateway = video(tmp_path / "a.avi", sharp(0)), Asked()
    with listening(gateway) as address:
        options = ("--source", url, "--trigger", "-", "--views", "3", "--view", "left")
        sent = command(station, *options, "--url", address)
        subprocess.run(sent, stdin=subprocess.DEVNULL, check=True)
    assert gateway.views == [("3", "left")] * 2  # each alone, as one takes the place of the other
    assert gateway.parts == [("4711", 1)] * 2
    with pytest.raises(CameraError, match="--views needs parts: give --trigger -"):
        ran(station, gateway, Camera(url, views=3))


@pytest.mark.parametrize("decision", ["normal", "anomalous"])
def test_a_normal_frame_that_a_crash_has_left_goes(station, tmp_path, decision):
    name = "20261130T160801.123456Z.jpg"
    (station.folder / name).write_bytes(b"frame")
    Journal(station.jsonl).write(name, stamp_of(station.folder / name), {"decision": decision})
    url = video(tmp_path / "a.avi", sharp(0))
    ran(replace(station, rejects=None), FakeGateway(), Camera(url, every_s=0))
    assert files(station.folder) == ([name] if decision == "anomalous" else [])
    assert len(lines(station)) == 2


def test_files_that_others_put_there_are_decided_and_stay(station, tmp_path):
    (station.folder / "a.jpg").write_bytes(b"picture")
    ran(station, FakeGateway(), Camera(video(tmp_path / "a.avi", sharp(0)), every_s=0))
    assert files(station.folder) == ["a.jpg"]
    assert len(lines(station)) == 2


def test_a_file_that_cannot_be_deleted_is_said_once(station, tmp_path, monkeypatch, capfd):
    unlink = Path.unlink

    def refused(path: Path, **options: bool) -> None:
        if path.suffix == ".jpg":
            raise OSError(errno.EROFS, "Read-only file system")
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", refused)
    url = video(tmp_path / "a.avi", *(sharp(number) for number in range(3)))
    ran(station, FakeGateway(), Camera(url, every_s=0))
    assert len(lines(station)) == len(files(station.folder)) == 3
    assert capfd.readouterr().err.count("and more stay: Read-only file system") == 1


def test_a_stream_is_decided_and_its_password_is_nowhere(station, stream: Rtsp):
    gateway = FakeGateway()
    with listening(gateway) as address:
        watch = subprocess.Popen(
            command(station, "--every", "0.1", "--url", address),
            env={**os.environ, "ONEGAUGE_CAMERA": stream.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        wait_until(lambda: len(lines(station)) >= 3)
        watch.send_signal(signal.SIGTERM)
        told = b"".join(watch.communicate(timeout=30)).decode()
    assert watch.returncode == 0
    assert "secret" not in told + station.jsonl.read_text()
    assert {line["decision"] for line in lines(station)} == {"normal"}


def test_a_stream_that_goes_is_said_once_and_comes_back(station, capfd):
    address, said = free_address(), Said(capfd)
    with (
        rtsp() as camera,
        running(station, FakeGateway(), Camera(camera.url, every_s=0.1, metrics=address)),
    ):
        wait_until(lambda: len(lines(station)) >= 1)
        assert gauge(address, "connected") == 1
        camera.kill()
        wait_until(lambda: "no frames come" in said())
        wait_until(lambda: gauge(address, "connected") == 0)
        before = len(lines(station))
        camera.start()
        wait_until(lambda: len(lines(station)) > before + 1)
    assert said().count(f"no frames come: rtsp://{camera.address}: no more frames come") == 1
    assert said().count(f"rtsp://{camera.address} is there again") == 1
    assert "secret" not in said()


def test_a_message_by_mqtt_takes_a_frame_of_its_part(station, stream: Rtsp, broker: Mosquitto):
    if not shutil.which("mosquitto_sub"):
        pytest.skip("mosquitto_sub is not installed: apt-get install mosquitto-clients")
    server = ("-p", str(broker.port), "-u", USER, "-P", PASSWORD, "-t", "line1/trigger")
    gateway, metrics = Asked(), free_address()
    reading, writing = os.pipe()
    with listening(gateway) as address, open(reading, "rb") as told, open(writing, "wb") as telling:
        options = ("--source", stream.url, "--trigger", "-", "--url", address, "--metrics", metrics)
        with (
            subprocess.Popen(command(station, *options), stdin=told) as watch,
            subprocess.Popen(["mosquitto_sub", *server], stdout=telling) as subscriber,
        ):
            wait_until(lambda: gauge(metrics, "connected") == 1)
            for number, part in enumerate(("4711", "4712"), 1):
                subprocess.run(["mosquitto_pub", "-r", *server, "-m", part], check=True)
                wait_until(lambda number=number: len(lines(station)) == number)
            subscriber.kill()
            watch.terminate()
    assert gateway.parts == [("4711", 1), ("4712", 1)]


def test_a_full_disk_is_said_once_and_ends_nothing(station, stream: Rtsp, small_disk, capfd):
    said = Said(capfd)
    fill(small_disk / "ballast")
    with running(replace(station, folder=small_disk), FakeGateway(), Camera(stream.url, 0.05)):
        wait_until(lambda: "frames are lost" in said())
        (small_disk / "ballast").unlink()
        wait_until(lambda: len(lines(station)) >= 3)
    assert said().count("frames are lost") == 1
    assert said().count("frames are written again") == 1
    assert {line["decision"] for line in lines(station)} == {"normal"}


def test_a_gige_camera_is_decided(station):
    with gige(), running(station, FakeGateway(), Camera(f"genicam:{GIGE_ADDRESS}", 0.1)):
        wait_until(lambda: len(lines(station)) >= 3)


def test_sigterm_ends_it_while_a_camera_hangs(station):
    patient = "from onegauge.camera import stream; stream.PARAMETERS[1] = 3_600_000"  # to open
    code = f"{patient}; from onegauge.cli import main; main()"
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and is silent
        url = f"rtsp://127.0.0.1:{silent.getsockname()[1]}/line"
        _, _, _, *arguments = command(station, "--source", url)
        watch = subprocess.Popen([sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE)
        connection, _ = silent.accept()
        watch.send_signal(signal.SIGTERM)
        assert watch.communicate(timeout=60) == (None, b"")
        connection.close()
    assert watch.returncode == 0


def test_what_only_a_person_can_correct_ends_it(station, tmp_path):
    url = video(tmp_path / "a.avi", sharp(0))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(CameraError, match=f"--metrics {address}: Address already in use"):
            ran(station, FakeGateway(), Camera(url, metrics=address))
    with pytest.raises(CameraError, match="--metrics is like 127.0.0.1:9108, not '9108'"):
        ran(station, FakeGateway(), Camera(url, metrics="9108"))
    with pytest.raises(CameraError, match="--trigger Line0 is an input of a camera"):
        ran(station, FakeGateway(), Camera(url, trigger="Line0"))
    assert json.dumps(lines(station)) == "[]"
