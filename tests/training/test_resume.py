import json
from contextlib import suppress

import pytest

from onegauge.training.config import TrainConfig
from onegauge.training.errors import CheckpointError
from onegauge.training.resume import discard, open_state, whole


def test_what_is_not_a_run_is_neither_resumed_nor_touched(tmp_path):
    mine = tmp_path / "state" / "precious.txt"
    mine.parent.mkdir()
    mine.write_text("mine")
    with pytest.raises(CheckpointError, match="no run to resume"):
        open_state(TrainConfig(tmp_path, tmp_path, resume=True))
    assert mine.read_text() == "mine"


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "run").write_text("mine")
    with pytest.raises(CheckpointError, match="run is not a folder"):
        open_state(TrainConfig(tmp_path, tmp_path / "run"))


def test_unreadable_files_may_be_allowed_when_a_run_is_resumed(tmp_path):
    begun = open_state(TrainConfig(tmp_path, tmp_path / "run"))
    resumed = TrainConfig(tmp_path, tmp_path / "run", resume=True, allow_unreadable=True)
    assert open_state(resumed) == begun
    with pytest.raises(CheckpointError, match="another seed"):
        open_state(TrainConfig(tmp_path, tmp_path / "run", resume=True, seed=1))


def test_a_torn_record_is_named(tmp_path):
    state = open_state(TrainConfig(tmp_path, tmp_path / "run"))
    (state / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot resume from .*config.json"):
        open_state(TrainConfig(tmp_path, tmp_path / "run", resume=True))


def test_a_run_that_an_older_version_started_is_not_said_to_have_other_options(tmp_path):
    started = open_state(TrainConfig(tmp_path, tmp_path / "run")) / "config.json"
    record = json.loads(started.read_text())
    del record["group_by"]
    started.write_text(json.dumps(record))
    with pytest.raises(CheckpointError, match="older version has started it; begin anew"):
        open_state(TrainConfig(tmp_path, tmp_path / "run", resume=True))


def test_discarding_a_state_takes_an_empty_folder_along(tmp_path):
    discard(open_state(TrainConfig(tmp_path, tmp_path / "run")))
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_whole_or_as_it_was(tmp_path):
    file = tmp_path / "record.json"
    with whole(file) as beside:
        beside.write_text("[1]")
    with suppress(OSError), whole(file) as beside:
        beside.write_text("[")
        raise OSError("disk full")
    assert json.loads(file.read_text()) == [1]
