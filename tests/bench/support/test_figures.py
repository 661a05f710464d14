"""Figures of a benchmark: kept by machine and day, and found again."""

import json
from datetime import date

from bench.support.figures import RESULTS, Kept, folder_of, keep, newest, this_machine

THERE = {"processor": "AMD EPYC, model 1", "cores": 2}


def test_figures_of_two_machines_are_kept_apart(tmp_path):
    file = f"{date.today().isoformat()}.json"
    there = folder_of(THERE, tmp_path) / file
    there.parent.mkdir()
    there.write_text(json.dumps({"machine": THERE, "latency": {"ms": 1}}))
    keep("latency", {"ms": 2}, tmp_path)
    keep("triton", {"ms": 3}, tmp_path)
    assert json.loads(there.read_text()) == {"machine": THERE, "latency": {"ms": 1}}
    here = folder_of(this_machine(), tmp_path)
    assert json.loads((here / file).read_text()) == {
        "machine": this_machine(),
        "latency": {"ms": 2},
        "triton": {"ms": 3},
    }
    assert {name: kept.figures for name, kept in newest(here).items()} == {
        "latency": {"ms": 2},
        "triton": {"ms": 3},
    }


def test_the_newest_of_each_benchmark_is_found_with_its_day(tmp_path):
    for day, parts in {
        "2026-11-26": {"latency": 2, "triton": 3},
        "2026-12-01": {"latency": 1},
        "2026-11-30": {"latency": 4},
    }.items():
        (tmp_path / f"{day}.json").write_text(json.dumps({"machine": THERE, **parts}))
    assert newest(tmp_path) == {
        "latency": Kept("2026-12-01", 1),
        "triton": Kept("2026-11-26", 3),
    }
    assert newest(tmp_path / "of-a-machine-that-was-never-measured") == {}


def test_a_machine_is_told_by_its_processor_and_its_cores():
    assert folder_of(THERE).name == "amd-epyc-model-1-2-cores"
    machine = this_machine()
    assert folder_of(machine).name.endswith(f"-{machine['cores']}-cores")
    assert folder_of(machine) != folder_of(machine | {"cores": 10**3})


def test_kept_figures_lie_where_their_machine_says():
    for file in RESULTS.glob("**/*.json"):
        assert file.parent == folder_of(json.loads(file.read_text())["machine"])
