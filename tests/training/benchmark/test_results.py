import pytest

from onegauge.training.benchmark.results import Result, Results
from onegauge.training.errors import CheckpointError

CELL = Result("patchcore", "starter", 256, "cada", 0)


def test_results_are_found_again_by_what_was_measured(tmp_path):
    file = tmp_path / "new" / "results.jsonl"
    measured = Result("patchcore", "starter", 256, "cada", 0, {"seed": "0"}, {"pooled": {}})
    Results(file).add(measured)
    again = Results(file)
    assert again.rows == [measured]
    assert again.has(CELL)
    for other in (
        Result("revdist", "starter", 256, "cada", 0),
        Result("patchcore", "resnet18", 256, "cada", 0),
        Result("patchcore", "starter", 128, "cada", 0),
        Result("patchcore", "starter", 256, "none", 0),
        Result("patchcore", "starter", 256, "cada", 1),
    ):
        assert not again.has(other)


def test_a_file_of_something_else_is_not_touched(tmp_path):
    file = tmp_path / "results.jsonl"
    file.write_text('{"loss": 0.1}\n')
    with pytest.raises(CheckpointError, match="holds no results"):
        Results(file)
    assert file.read_text() == '{"loss": 0.1}\n'
