"""Rows are what a gateway answers, each image has one, whatever ends a run in its middle."""

import signal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from onegauge.client import Client, Decision, Named, Options
from rig.address import free_address
from tests.bulk.conftest import BROKEN, assert_each_once, greys, rows_of
from tests.service.served import served

MANY = 250
NUMBERS = ("score", "raw_score", "p_value", "novelty")


def told(row: dict) -> dict:
    """What a row says of a decided image, as a decision has it."""
    return {name: row[name] for name in Decision.model_fields if name in row}


@pytest.fixture
def parts(tmp_path, normal, defective):
    """A folder with two good images, a bad one, a broken one, and what is none by its name."""
    folder = tmp_path / "parts"
    (folder / "line" / "1").mkdir(parents=True)
    (folder / "a.png").write_bytes(normal)
    (folder / "line" / "1" / "ü b.png").write_bytes(defective)
    (folder / "line" / "c.png").write_bytes(normal)
    (folder / "line" / BROKEN).write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    (folder / "notes.txt").write_text("no image")
    return folder


def test_rows_are_what_a_gateway_answers(inspect, parts, tmp_path, gauge_repository, capsys):
    assert inspect(parts, "--line", "press-3", "--maps", "npy", "--threshold", "1.2") == 1
    options = Options(line="press-3", map="npy", threshold=1.2)
    files = sorted(path for path in parts.rglob("*.png"))
    with served(gauge_repository) as url, Client(url) as gateway:
        answer = gateway.inspect([Named(f.name, f.read_bytes()) for f in files], options)
    rows = rows_of(tmp_path / "out")
    assert [row["path"] for row in rows] == [str(file) for file in files]
    for row, result in zip(rows, answer.results, strict=True):
        assert row["line"] == "press-3"
        if not isinstance(result, Decision):
            assert row["path"].endswith(BROKEN)
            assert row["problem"] == result.problem.model_dump()
            assert row["decision"] is None
            continue
        assert row["model"] == answer.model.model_dump()
        assert row["problem"] is None
        for name in NUMBERS:
            assert row[name] == pytest.approx(getattr(result, name), abs=1e-6)
        assert row["normal"] == pytest.approx(result.normal.model_dump(), abs=1e-6)
        for region, of_gateway in zip(row["regions"], result.regions, strict=True):
            assert tuple(region["box"]) == of_gateway.box
            assert region["area"] == of_gateway.area
            assert region["peak"] == pytest.approx(of_gateway.peak, abs=1e-6)
        assert (row["decision"], row["threshold"]) == (result.decision, 1.2)
        assert row["anomaly_map"]["data"][:6] == b"\x93NUMPY"
    assert {row["decision"] for row in rows} == {"normal", "anomalous", None}
    printed = capsys.readouterr().out
    assert [line.split() for line in printed.splitlines() if "anomalous" in line]


def test_a_run_that_is_killed_is_gone_on_with(ended, inspect, tmp_path, capsys):
    files, out = greys(tmp_path / "parts", MANY), tmp_path / "out"
    assert ended(tmp_path / "parts", "SIGKILL").returncode == -signal.SIGKILL
    (out / ".20260101T000000Z-aaaaaa-00000.parquet.draft").write_bytes(b"PAR1 half")
    before = {file: file.read_bytes() for file in out.glob("*.parquet")}
    assert 0 < len(rows_of(out)) < MANY
    assert inspect(tmp_path / "parts") == 2
    assert_each_once(out, files)
    assert {file: file.read_bytes() for file in before} == before  # nothing was done again
    assert not [*out.glob(".*")]
    assert inspect(tmp_path / "parts") == 2
    anomalous = [line.split() for line in capsys.readouterr().out.splitlines() if "anomal" in line]
    assert anomalous[-1][3::2] == ["0", f"{MANY - 128}"]


def test_ctrl_c_leaves_whole_files_that_are_gone_on_with(ended, inspect, tmp_path):
    files, out = greys(tmp_path / "parts", MANY), tmp_path / "out"
    done = ended(tmp_path / "parts", "SIGINT")
    assert done.returncode == 130, done.stderr
    assert len([*out.glob("*.parquet")]) == 3
    assert f"rows in {out}" in done.stdout
    assert 0 < len(rows_of(out)) < MANY
    assert inspect(tmp_path / "parts") == 2
    assert_each_once(out, files)


def test_what_could_not_be_read_is_tried_again(inspect, tmp_path, normal):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "good.png").write_bytes(normal)
    listed = [str(tmp_path / "parts" / name) for name in ("good.png", "late.png")]
    pq.write_table(pa.table({"path": [*listed, listed[0]]}), tmp_path / "list.parquet")
    assert inspect(tmp_path / "list.parquet") == 1
    late = rows_of(tmp_path / "out")[1]
    assert late["problem"]["type"] == "about:blank"
    assert late["problem"]["detail"] == "cannot be read: No such file or directory"
    (tmp_path / "parts" / "late.png").write_bytes(normal)
    assert inspect(tmp_path / "list.parquet") == 0
    assert_each_once(tmp_path / "out", listed)


def test_another_question_needs_another_output(inspect, tmp_path, capsys):
    greys(tmp_path / "parts", 2)
    assert inspect(tmp_path / "parts") == 0
    assert inspect(tmp_path / "parts", "--threshold", "0.001") == 1
    assert "give another --output" in capsys.readouterr().err


def test_a_gateway_decides_where_no_model_is_given(inspect, parts, tmp_path, gauge_repository):
    with served(gauge_repository) as url:
        assert inspect(f"{parts}/**/*.png", "--url", url, "--maps", "overlay") == 1
    by_gateway = rows_of(tmp_path / "out")
    (tmp_path / "out").rename(tmp_path / "by_gateway")
    assert inspect(f"{parts}/**/*.png", "--maps", "overlay") == 1
    assert by_gateway == rows_of(tmp_path / "out")
    assert {row["anomaly_map"]["encoding"] for row in by_gateway if row["anomaly_map"]} == {
        "overlay"
    }


def test_a_gateway_that_is_away_ends_the_run(inspect, parts, capsys):
    assert inspect(parts, "--url", f"http://{free_address()}") == 1
    assert capsys.readouterr().err.startswith("onegauge: no answer from http://127.0.0.1:")
