"""Records by the command line, beside the gateway that writes them."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyarrow.parquet import read_table

from onegauge.records.database import Database
from onegauge.records.history import History
from onegauge.records.pictures import Pictures
from tests.cli.command import status
from tests.records.made import decided, record


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    database = Database.open(f"sqlite:///{tmp_path}/records.db")
    yield History(database)
    database.close()


@pytest.fixture
def records(tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch) -> History:
    """Three inspections, one of them judged, of a gateway whose variables are set."""
    digest = Pictures(tmp_path / "pictures").put(b"x" * 2_000_000)
    made = [record(n, picture=digest if n == 0 else None) for n in range(3)]
    history.add([*made, decided(made[1:2], decision="anomalous")])
    history.judge(made[2].id, "false_alarm", by="Ada")
    monkeypatch.setenv("ONEGAUGE_RECORDS", f"sqlite:///{tmp_path}/records.db")
    return history


@pytest.mark.usefixtures("records")
def test_a_table_goes_to_standard_output(capfdbinary):
    assert status("records", "export") == 0
    out, err = capfdbinary.readouterr()
    rows = list(csv.DictReader(out.decode().splitlines()))
    assert [row["part"] for row in rows] == ["part-2", "part-1", "part-0"]
    assert err == b"wrote 3 inspections\n"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (["--since", "2025-03-03T06:00:01+00:00"], ["part-2", "part-1"]),
        (["--until", "2025-03-03T06:00:01Z"], ["part-0"]),
        (["--since", "2020-01-01", "--until", "2020-01-02"], []),
        (["--verdict", "false_alarm"], ["part-2"]),
        (["--verdict", "none", "--line", "press", "--decision", "normal"], ["part-1", "part-0"]),
        (["--line", "mill"], []),
        (["--part-decision", "anomalous"], ["part-1"]),
    ],
)
@pytest.mark.usefixtures("records")
def test_a_table_has_what_is_asked_for(tmp_path, options, parts):
    out = tmp_path / "table"
    assert status("records", "export", "--format", "jsonl", "--out", str(out), *options) == 0
    assert [json.loads(line)["part"] for line in out.read_text().splitlines()] == parts


@pytest.mark.usefixtures("records")
def test_parquet_goes_to_a_file(tmp_path, capsys):
    assert status("records", "export", "--format", "parquet") == 1
    assert "--out" in capsys.readouterr().err
    out = tmp_path / "table.parquet"
    assert status("records", "export", "--format", "parquet", "--out", str(out)) == 0
    assert read_table(out).num_rows == 3


def test_pruning_tells_what_has_left(records, tmp_path, capsys):
    assert status("records", "prune", "--pictures-days", "0") == 0
    assert capsys.readouterr().out == "removed 1 pictures of 2.0 MB and 0 inspections\n"
    assert Pictures(tmp_path / "pictures").size() == 0
    assert status("records", "prune", "--records-days", "0") == 0
    assert capsys.readouterr().out == "removed 0 pictures of 0.0 MB and 2 inspections\n"
    assert [found.record.part for found in records.find().found] == ["part-2"]


def test_pruning_wants_to_know_what_is_to_leave(records, capsys):
    assert status("records", "prune") == 1
    assert "--pictures-days" in capsys.readouterr().err
    assert len(records.find().found) == 3


@pytest.mark.usefixtures("records")
def test_stats_tell_of_lines_verdicts_and_bytes(capsys):
    assert status("records", "stats") == 0
    out = capsys.readouterr().out.splitlines()
    (press,) = (row.strip("│ ").split() for row in out if "press" in row)
    assert press == ["press", "│", "3", "│", "0", "│", "0", "│", "1"]
    assert out[-3:-1] == ["false_alarm  1", "from 2025-03-03 06:00 to 2025-03-03 06:00 UTC"]
    assert out[-1].startswith("1 pictures of 2.0 MB, database of ")


@pytest.mark.usefixtures("records")
def test_the_url_may_be_in_a_file(tmp_path, capsys):
    file = tmp_path / "url"
    file.write_text(f"sqlite:///{tmp_path}/records.db\n")
    assert status("records", "stats", "--records", str(file)) == 0
    assert "1 pictures of 2.0 MB" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--records", "sqlite:///absent.db"], "onegauge: absent.db is not there\n"),
        (["--records", "records.db"], "records.db"),
        (["--records", "/absent"], "/absent"),
        (["--since", "yesterday"], "yesterday"),
        (["--format", "xlsx"], "xlsx"),
    ],
)
@pytest.mark.usefixtures("records")
def test_what_is_wrong_is_told(tmp_path, monkeypatch, capsys, options, told):
    monkeypatch.chdir(tmp_path)
    assert status("records", "export", *options) == 1
    assert told in capsys.readouterr().err
    assert not (tmp_path / "absent.db").exists()
