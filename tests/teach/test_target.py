"""What can be taught: a run as well as what was exported of it."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from onegauge.export.export_run import export_run
from onegauge.library.errors import LibraryError
from onegauge.library.library import FILE, load
from onegauge.teach.add import add
from onegauge.teach.errors import TeachingError
from onegauge.teach.remove import Unwanted, remove
from onegauge.teach.target import target_of
from onegauge.training.checkpoint import load as load_run
from onegauge.training.choice import NO_CHOICE
from tests.teach.conftest import NAME


@pytest.fixture
def run(trained_run: Path, tmp_path: Path) -> Path:
    """A run to change."""
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


@pytest.mark.usefixtures("traced_before")
def test_a_run_is_taught_in_its_place_and_exported_as_a_model_that_was(
    run, repository, rings, tmp_path
):
    before = load_run(run)
    add(target_of(run, NAME), rings, None, NO_CHOICE)
    add(target_of(repository, NAME), rings, None, NO_CHOICE)
    after = load_run(run)
    assert after.images == before.images + 20
    assert len(after.evidence.references) == 80
    assert after.training_digest != before.training_digest
    export_run(run, tmp_path / "exported", NAME)
    ours = load(tmp_path / "exported" / NAME / "1" / FILE)
    theirs = load(repository / NAME / "2" / FILE)
    for name in ("maps", "memories", "usual", "groups", "deviations", "references", "held_out"):
        assert np.allclose(getattr(ours, name), getattr(theirs, name), atol=1e-3), name
    assert ours.origins[0] == theirs.origins[0]
    assert [*run.parent.glob(".run*")] == []


def test_a_run_is_as_it_was_where_teaching_fails(run):
    before = {file.name: file.read_bytes() for file in run.iterdir()}
    ids = [origin.id for origin in load_run(run).origins]
    with pytest.raises(LibraryError, match="needs 40"):
        remove(target_of(run, NAME), Unwanted(ids[:21]))
    assert {file.name: file.read_bytes() for file in run.iterdir()} == before


def test_of_a_run_there_are_no_candidates(run):
    with pytest.raises(TeachingError, match="of which there are no candidates"):
        target_of(run, NAME, candidate=True)


def test_what_is_neither_run_nor_repository_is_an_error(tmp_path):
    with pytest.raises(TeachingError, match="neither a run nor a repository with a model"):
        target_of(tmp_path, NAME)
