"""Chunks are done by tasks, which may be lost; the driver has nothing beside it when Ray ends."""

import os
import threading
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

from onegauge.bulk.batch import Batch
from onegauge.bulk.errors import BulkError
from onegauge.bulk.pipeline import RETRIES, inspected
from onegauge.bulk.reading import Reading
from onegauge.bulk.work import Decider, Work
from onegauge.cluster import running_ray

MANY = 100


def names(batch: Batch) -> pa.Table:
    """The paths of a batch as its rows."""
    return pa.table({"path": pa.array(batch["path"], pa.binary())})


def dies(times: int, counted: Path) -> Decider:
    """Ends its process so many times, each noted as a file in a folder, before it decides."""
    if (before := len(list(counted.iterdir()))) < times:
        (counted / f"{before}-{os.getpid()}").touch()
        os._exit(1)
    return names


def work(times: int, counted: Path) -> Work:
    """Reads files into bytes, and tells their paths."""
    return Work(Reading(None, True, 1000, 1000), partial(dies, times, counted), 1, False, {})


@pytest.fixture
def paths() -> pa.Table:
    """Of files that are not there, which is of no matter."""
    return pa.table({"path": pa.array([b"%d" % number for number in range(MANY)], pa.binary())})


@pytest.fixture
def counted(tmp_path: Path) -> Path:
    (tmp_path / "counted").mkdir()
    return tmp_path / "counted"


def test_each_path_comes_once_although_a_process_dies(ray_address, paths, counted):
    with running_ray(ray_address):
        rows = pa.concat_tables(inspected(paths, work(1, counted)))
    assert len(list(counted.iterdir())) == 1
    assert sorted(rows["path"].to_pylist()) == sorted(paths["path"].to_pylist())


def test_what_kills_each_process_ends_the_run(ray_address, paths, counted):
    with running_ray(ray_address), pytest.raises(BulkError, match="Ray gave up: "):
        list(inspected(paths, work(1000, counted)))
    assert len(list(counted.iterdir())) == 1 + RETRIES


def test_no_thread_of_the_driver_may_ask_ray_when_it_ends(ray_address, paths, counted):
    with running_ray(ray_address):
        before = set(threading.enumerate())
        rows = inspected(paths, work(0, counted))
        next(rows)
        assert set(threading.enumerate()) == before
