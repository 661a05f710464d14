"""A gauge of three products in a repository, and a fourth product that it does not know."""

import shutil
from pathlib import Path

import pytest

from demo.products.tree import write_tree

NAME = "onegauge"


@pytest.fixture
def repository(trained_repository: Path, tmp_path: Path) -> Path:
    """`trained_repository`, to change."""
    return Path(shutil.copytree(trained_repository, tmp_path / "repository"))


@pytest.fixture(scope="session")
def rings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 normal images of a product that is new, and some with labels."""
    root = tmp_path_factory.mktemp("rings")
    counts = {"train": 20, "test_good": 8, "test_defective": 8}
    write_tree(root, **counts, seed=3, size=128, products=("ring",))
    return root
