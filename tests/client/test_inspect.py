import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from onegauge.client import ClientError
from onegauge.client.batches import BATCH, IN_FLIGHT
from onegauge.client.inspect import ANOMALOUS, ERROR, NORMAL, find_images, run
from onegauge.schemas import Options
from rig.pictures import encode
from tests.client.fake_gateway import FakeGateway, listening, problem
from tests.client.parts import images
from tests.service.served import served


@pytest.fixture
def url(gauge_repository: Path) -> Iterator[str]:
    with served(gauge_repository) as url:
        yield url


@pytest.fixture
def other() -> bytes:
    """Another normal part."""
    return encode(Image.new("RGB", (96, 64), (50, 50, 50)))


def read_lines(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_normal_images_end_with_status_0(url, tmp_path, normal, capsys):
    assert run(images(tmp_path, a=normal, b=normal), url) == 0
    assert "inspected 2: 2 normal" in capsys.readouterr().out


def test_an_anomalous_image_ends_with_status_2_and_is_named(
    url, tmp_path, monkeypatch, normal, defective, capsys
):
    monkeypatch.chdir(tmp_path)
    images(Path("parts"), good=normal, bad=defective)
    assert run([Path("parts")], url) == 2
    shown = capsys.readouterr().out
    assert "inspected 2: 1 anomalous, 1 normal" in shown
    assert re.search(r"parts/bad\.png\W+anomalous", shown)
    assert re.search(r"parts/good\.png\W+normal", shown)


def test_an_unreadable_image_ends_with_status_1_and_the_others_are_decided(
    url, tmp_path, normal, defective
):
    paths = images(tmp_path, bad=defective, broken=b"no image", good=normal)
    assert run(paths, url, jsonl=tmp_path / "out.jsonl") == 1
    lines = read_lines(tmp_path / "out.jsonl")
    assert [line.get("decision") for line in lines] == ["anomalous", None, "normal"]
    assert lines[1]["path"] == str(paths[1])
    assert "none of the supported formats" in lines[1]["problem"]


def test_images_that_are_all_refused_get_each_their_own_problem(url, tmp_path, normal):
    paths = images(tmp_path, empty=b"", text=b"no image", cut=normal[:60])
    assert run(paths, url, jsonl=tmp_path / "out.jsonl") == 1
    problems = [line["problem"] for line in read_lines(tmp_path / "out.jsonl")]
    assert len(set(problems)) == 3


def test_a_gateway_that_takes_fewer_images_per_request_still_gets_them_all(
    gauge_repository, tmp_path, normal
):
    paths = images(tmp_path, a=normal, b=normal, c=normal)
    with served(gauge_repository, max_images=2) as url:
        assert run(paths, url) == 0


def test_json_lines_keep_the_order_of_the_images_and_leave_out_the_pictures(
    url, tmp_path, normal, defective
):
    contents = {f"{n:03}": defective if n % 7 == 3 else normal for n in range(50)}
    paths = images(tmp_path / "parts", **contents)
    run([tmp_path / "parts"], url, jsonl=tmp_path / "out.jsonl", overlays=tmp_path / "overlays")
    lines = read_lines(tmp_path / "out.jsonl")
    assert [line["path"] for line in lines] == [str(path) for path in paths]
    anomalous = [n for n, line in enumerate(lines) if line["decision"] == "anomalous"]
    assert anomalous == list(range(3, 50, 7))
    assert lines[3]["model"] == {"name": "onegauge", "version": "1"}
    assert lines[3]["regions"][0]["box"] == [64, 16, 16, 8]
    assert "anomaly_map" not in lines[3]


def test_mask_is_sent_with_every_request(url, defective, tmp_path, capsys):
    paths = images(tmp_path / "parts", **{f"part{i}": defective for i in range(10)})
    left = Image.new("L", (96, 64))
    left.paste(255, (0, 0, 48, 64))
    left.save(tmp_path / "mask.png")
    assert run(paths, url) == ANOMALOUS
    assert run(paths, url, mask=tmp_path / "mask.png") == NORMAL
    assert "10 normal" in capsys.readouterr().out
    with pytest.raises(ClientError, match="cannot open .*absent.png: No such file"):
        run(paths, url, mask=tmp_path / "absent.png")


def test_overlays_are_pictures_of_the_images_and_do_not_overwrite_each_other(
    url, tmp_path, monkeypatch, normal, defective
):
    monkeypatch.chdir(tmp_path)
    images(tmp_path / "left", part=normal)
    images(tmp_path / "right", part=defective)
    run([Path("left"), Path("right")], url, overlays=Path("out"))
    pictures = sorted(Path("out").rglob("*.*"))
    assert pictures == [Path(f"out/{side}/part.png.overlay.jpg") for side in ("left", "right")]
    left, right = (picture.read_bytes() for picture in pictures)
    assert Image.open(BytesIO(left)).size == (96, 64)
    assert left != right


def test_threshold_and_line_reach_the_gateway(url, tmp_path, defective):
    paths = images(tmp_path, bad=defective)
    assert run(paths, url, Options(threshold=5.0, line="press-3")) == 0
    assert 'line="press-3"' in httpx.get(f"{url}/metrics").text


def test_images_of_a_part_end_with_the_status_of_its_decision(
    url, tmp_path, normal, defective, other, capsys
):
    good, bad, left, right = images(
        tmp_path / "parts", good=normal, bad=defective, left=normal, right=other
    )
    views = Options(part="[b]", views=2)
    assert run([good, right], url, views, jsonl=tmp_path / "out.jsonl") == NORMAL
    assert "part [b]: normal, 2 of 2 views" in capsys.readouterr().out
    lines = read_lines(tmp_path / "out.jsonl")
    assert [line["part"]["decision"] for line in lines] == ["normal", "normal"]
    assert run([good], url, Options(part="1", views=2)) == ERROR
    assert "part 1: not complete, 1 of 2 views" in capsys.readouterr().out
    assert run([bad], url, Options(part="2", views=2)) == ANOMALOUS
    assert run([left], url, Options(part="2", views=2)) == ANOMALOUS
    assert "part 2: anomalous, 2 of 2 views" in capsys.readouterr().out
    with pytest.raises(ClientError, match="3 images are more than 2 views"):
        run([good, bad, right], url, views)


def test_a_part_of_many_views_is_decided_whatever_requests_they_go_in(url, tmp_path, capsys):
    contents = {f"{n}": encode(Image.new("RGB", (48, 32), (n, n, n))) for n in range(20)}
    paths = images(tmp_path / "parts", **contents)
    assert run(paths, url, Options(part="4711", views=20)) == NORMAL
    assert "part 4711: normal, 20 of 20 views" in capsys.readouterr().out


def test_an_absent_gateway_is_named(tmp_path, normal):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(ClientError, match=url):
        run(images(tmp_path, a=normal), url)


@pytest.mark.parametrize("url", ["localhost:8000", "http://localhost:port"])
def test_a_url_that_is_none_is_named(tmp_path, normal, url):
    with pytest.raises(ClientError, match=re.escape(url)):
        run(images(tmp_path, a=normal), url)


def test_a_url_without_its_scheme_is_told_what_is_missing(tmp_path, normal):
    with pytest.raises(ClientError, match="begin with http://"):
        run(images(tmp_path, a=normal), "localhost:8000")


def test_a_file_that_cannot_be_opened_is_a_problem_of_its_own(url, tmp_path, normal, capsys):
    paths = images(tmp_path, a=normal)
    (tmp_path / "b.png").symlink_to("/proc/self/mem")
    assert run([*paths, tmp_path], url) == 1
    assert "1 error" in capsys.readouterr().out


def test_paths_are_shown_as_they_are(url, tmp_path, monkeypatch, normal, capsys):
    monkeypatch.chdir(tmp_path)
    Path("[red]x.png").write_bytes(normal)
    run([Path("[red]x.png")], url)
    assert "[red]x.png" in capsys.readouterr().out


def test_a_file_name_that_is_no_utf_8_is_inspected_shown_and_written(
    url, tmp_path, normal, capsys, monkeypatch
):
    monkeypatch.setenv("COLUMNS", "300")  # so that no path is broken, however long
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xff.png"))
    path.write_bytes(normal)
    assert run([path], url, jsonl=tmp_path / "out.jsonl", overlays=tmp_path / "overlays") == 0
    assert r"b\udcff.png" in capsys.readouterr().out
    assert [line["path"] for line in read_lines(tmp_path / "out.jsonl")] == [str(path)]


def test_a_file_that_cannot_be_written_is_named(url, tmp_path, normal):
    paths = images(tmp_path, a=normal)
    with pytest.raises(ClientError, match="absent"):
        run(paths, url, jsonl=tmp_path / "absent" / "out.jsonl")


def test_folders_are_searched_for_images_at_any_depth(tmp_path):
    for name in ("b/c/x.PNG", "b/y.jpeg", "a.tiff", "notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = [str(path.relative_to(tmp_path)) for path in find_images([tmp_path])]
    assert found == ["a.tiff", "b/c/x.PNG", "b/y.jpeg"]


def test_a_pipe_and_a_folder_that_cannot_be_listed_are_problems_of_their_own(tmp_path, monkeypatch):
    paths = images(tmp_path / "parts", a=b"picture")
    (tmp_path / "parts" / "locked").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    scan = os.scandir

    def scandir(path: Path) -> object:
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    found = find_images([tmp_path / "parts", tmp_path / "pipe.png"])
    assert found == [*paths, tmp_path / "parts" / "locked", tmp_path / "pipe.png"]
    with listening(FakeGateway()) as url:
        assert run(found, url, jsonl=tmp_path / "out.jsonl") == ERROR
    decisions = [line.get("decision") for line in read_lines(tmp_path / "out.jsonl")]
    assert decisions == ["normal", None, None]


def test_a_path_that_does_not_exist_and_a_folder_without_images_are_named(tmp_path):
    with pytest.raises(ClientError, match=r"absent\.png: no such file"):
        find_images([tmp_path / "absent.png"])
    with pytest.raises(ClientError, match=f"no images below {tmp_path}"):
        find_images([tmp_path])


def test_what_was_found_until_the_gateway_went_is_written_and_shown(tmp_path, capsys):
    paths = images(tmp_path / "parts", **{f"{n:03}": b"picture" for n in range(80)})
    gateway = FakeGateway()

    def go_away() -> httpx.Response:
        gateway.is_there = False
        raise httpx.ReadError("connection reset by peer")

    gateway.failing["060.png"] = go_away
    with listening(gateway) as url, pytest.raises(ClientError, match="no answer"):
        run([tmp_path / "parts"], url, jsonl=tmp_path / "out.jsonl")
    found = read_lines(tmp_path / "out.jsonl")
    assert [line["path"] for line in found[:24]] == [str(path) for path in paths[:24]]
    assert {line["decision"] for line in found} == {"normal"}
    assert f"inspected {len(found)} of 80: {len(found)} normal" in capsys.readouterr().out


def test_lines_are_written_as_the_answers_come(tmp_path):
    paths = images(tmp_path / "parts", **{f"{n:03}": b"picture" for n in range(80)})
    gateway, out = FakeGateway(), tmp_path / "out.jsonl"
    written = []

    def look() -> httpx.Response:
        written.append(len(read_lines(out)))
        return problem(500)()

    gateway.failing["079.png"] = look
    with listening(gateway) as url:
        assert run(paths, url, jsonl=out) == ERROR
    assert written[0] >= 80 - (IN_FLIGHT + 1) * BATCH
    assert len(read_lines(out)) == 80


def command(url: str, *arguments: object, **options: object) -> subprocess.Popen[bytes]:
    """`onegauge inspect` as a process."""
    call = [sys.executable, "-m", "onegauge", "inspect", "--url", url, *map(str, arguments)]
    root = Path(__file__).parents[2]
    return subprocess.Popen(call, cwd=root, stderr=subprocess.PIPE, **options)


def test_names_that_the_terminal_has_no_letters_for_are_shown_with_escapes(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + "/teil-ä-部.png".encode() + b"\xff.png"))
    path.write_bytes(b"picture")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "300"}
    with (
        listening(FakeGateway()) as url,
        command(url, path, stdout=subprocess.PIPE, env=environment) as process,
    ):
        shown, errors = process.communicate()
    assert (process.returncode, errors) == (0, b"")
    assert rb"teil-\xe4-\u90e8.png\udcff.png" in shown


def test_nobody_has_to_read_the_table_to_its_end(tmp_path):
    images(tmp_path, bad=b"picture", good=b"picture")
    with (
        listening(FakeGateway()) as url,
        command(url, tmp_path, stdout=subprocess.PIPE) as process,
    ):
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.wait(), errors) == (2, b"")


def test_a_full_disk_is_named(url, tmp_path, normal, capsys):
    paths = images(tmp_path / "parts", a=normal, b=normal)
    with pytest.raises(ClientError, match="cannot write /dev/full: No space left"):
        run(paths, url, jsonl=Path("/dev/full"))
    picture = tmp_path / "out" / Path(*paths[0].parts[1:]).with_suffix(".png.overlay.jpg")
    picture.parent.mkdir(parents=True)
    picture.symlink_to("/dev/full")
    with pytest.raises(ClientError, match=f"cannot write {picture}: No space left"):
        run(paths, url, overlays=tmp_path / "out", jsonl=tmp_path / "out.jsonl")
    assert len(read_lines(tmp_path / "out.jsonl")) == 2
    assert "inspected 2: 2 normal" in capsys.readouterr().out
    assert list((tmp_path / "out").rglob("a.*")) == []


def test_a_full_disk_for_the_table_is_an_error_in_one_line(tmp_path):
    images(tmp_path, a=b"picture")
    with (
        Path("/dev/full").open("wb") as full,
        listening(FakeGateway()) as url,
        command(url, tmp_path, stdout=full) as process,
    ):
        errors = process.stderr.read()
    assert process.wait() != 0
    assert b"onegauge: cannot write standard output: No space left on device\n" in errors
    assert b"Traceback" not in errors


def test_links_in_a_circle_are_searched_once(tmp_path):
    (tmp_path / "share").mkdir()
    images(tmp_path / "share", a=b"picture")
    images(tmp_path / "parts", b=b"picture")
    (tmp_path / "parts" / "again").symlink_to(tmp_path / "parts")
    (tmp_path / "parts" / "linked").symlink_to(tmp_path / "share")
    found = find_images([tmp_path / "parts"])
    assert found == [tmp_path / "parts" / name for name in ("b.png", "linked/a.png")]
