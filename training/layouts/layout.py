"""What every layout is: the splits, labels, masks and products of one kind of tree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from service.files import files_below, is_image
from training.errors import DataError

SPLITS = {"train", "validation", "test", "test_public", "Train", "Test"}
GOOD = "good"


@dataclass(frozen=True)
class TestImage:
    """An image to evaluate on, with its label and, where there is one, its mask."""

    path: Path
    product: str
    anomalous: bool
    defect: str  # "good" of a normal image
    mask: Path | None  # None of a normal image, and of an anomalous one that has none


@dataclass(frozen=True)
class Tree:
    """All files below a folder, listed once."""

    root: Path
    files: tuple[Path, ...]  # relative to the root, sorted

    @classmethod
    def below(cls, root: Path) -> Tree:
        """Raises DataError where `root` is not a folder."""
        if not root.is_dir():
            raise DataError(f"{root} is not a folder")
        return cls(root, tuple(sorted(files_below(root))))

    @cached_property
    def folders(self) -> frozenset[tuple[str, ...]]:
        """The parts of every folder that holds a file."""
        return frozenset(file.parent.parts for file in self.files)

    @property
    def images(self) -> list[Path]:
        """The files that are images by their suffix."""
        return [file for file in self.files if is_image(file)]


class Layout(ABC):
    """One data set as it is published, or a tree that is arranged like it."""

    name: ClassVar[str]

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    @classmethod
    @abstractmethod
    def fits(cls, tree: Tree) -> bool:
        """Whether the tree shows what no other layout has."""

    @abstractmethod
    def training(self) -> list[Path]:
        """The normal images to train on, sorted. Raises DataError."""

    @abstractmethod
    def test(self) -> list[TestImage]:
        """The labelled images to evaluate on, sorted. Raises DataError."""

    def product_of(self, path: Path) -> str:
        """The folders above that of the split, without one the first folder below the root.

        The root's own name where there is none.
        """
        folders = path.relative_to(self.tree.root).parts[:-1]
        above = next((folders[:i] for i, f in enumerate(folders) if f in SPLITS), folders[:1])
        return "/".join(above) or self.tree.root.resolve().name

    def labelled(self, path: Path, defect: str, mask: Path | None) -> TestImage:
        """The test image of `path`; the mask of a normal one says nothing and is dropped."""
        anomalous = defect != GOOD
        return TestImage(
            path, self.product_of(path), anomalous, defect, mask if anomalous else None
        )

    def base(self, folders: Iterable[Path]) -> Path:
        """The one folder below the root in which the data set lies; DataError where two do."""
        found = sorted(set(folders))
        if len(found) > 1:
            raise DataError(
                f"{self.tree.root} holds {self.name} more than once, in "
                f"{' and '.join(map(str, found))}: give one of them"
            )
        return self.tree.root / found[0]


def existing(path: Path, listing: Path) -> Path:
    """The path, if there is such a file; else DataError naming the `listing` that has it."""
    if not path.is_file():
        raise DataError(
            f"{path} does not exist, though {listing} names it: unpack the whole data set, or "
            "take what you do not have out of that file"
        )
    return path
