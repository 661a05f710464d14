"""A gauge of three products in a repository, and a fourth product that it does not know."""

import shutil
from pathlib import Path

import pytest

from demo.products.tree import write_tree
from onegauge.export.export_run import export_run

NAME = "parts"


@pytest.fixture(scope="session")
def published(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with `trained_run`; a test must not change it."""
    repository = tmp_path_factory.mktemp("published")
    export_run(trained_run, repository, NAME)
    return repository


@pytest.fixture
def repository(published: Path, tmp_path: Path) -> Path:
    """One to change."""
    return Path(shutil.copytree(published, tmp_path / "repository"))


@pytest.fixture(scope="session")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 normal images of a product that is new, and some with labels."""
    root = tmp_path_factory.mktemp("rings")
    counts = {"train": 20, "test_good": 8, "test_defective": 8}
    write_tree(root, **counts, seed=3, size=128, products=("ring",))
    return root
