"""What every layout is: the splits, labels, masks and products of one kind of tree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, TypeAlias

from onegauge.files import is_image, names_below
from onegauge.training.data.layouts.names import SPLIT, role_of_folder
from onegauge.training.data.layouts.verdict import Verdict, left_out, taken
from onegauge.training.errors import DataError

GOOD = "good"
# of an image, relative to the root, and whether the user includes it whatever its names say
Judge: TypeAlias = Callable[[Path, bool], Verdict]


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
    others: tuple[Path, ...] = ()  # links that lead nowhere, pipes

    @classmethod
    def below(cls, root: Path) -> Tree:
        """Raises DataError where `root` is not a folder, or a folder below it cannot be read."""
        try:
            if not root.is_dir():
                is_what = "a file, not a folder" if root.exists() else "not a folder"
                raise DataError(f"{root} is {is_what}: give the folder that the images are in")
            names = sorted(names_below(root))
        except OSError as exc:
            raise DataError(
                f"cannot read the folder {exc.filename or root}: {exc.strerror}; make it readable, "
                "or give a folder without it"
            ) from exc
        files, others = (tuple(n for n, file in names if file is kind) for kind in (True, False))
        return cls(root, files, others)

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

    def training_judge(self) -> Judge:
        """Who says whether to train on an image. Raises DataError."""
        normal = {path.relative_to(self.tree.root) for path in self.training()}

        def judge(file: Path, included: bool) -> Verdict:
            if included or file in normal:
                return taken(*file.parts[:-1])
            return left_out(*file.parts[:-1], why=f"no training image of {self.name}")

        return judge

    def test_judge(self) -> Judge:
        """Who says whether to evaluate on an image, which takes a label. Raises DataError."""
        labelled = self._labelled

        def judge(file: Path, _: bool) -> Verdict:
            if image := labelled.get(self.tree.root / file):
                return taken(*file.parts[:-1], why="anomalous" if image.anomalous else "normal")
            return left_out(*file.parts[:-1], why=f"no test image of {self.name}")

        return judge

    def test_image(self, file: Path) -> TestImage | None:
        """An image, relative to the root, with its label; None where it has none."""
        return self._labelled.get(self.tree.root / file)

    @cached_property
    def _labelled(self) -> dict[Path, TestImage]:
        return {image.path: image for image in self.test()}

    def product_of(self, path: Path) -> str:
        """The folders above that of the split, without one the first folder below the root.

        The root's own name where there is none.
        """
        folders = path.relative_to(self.tree.root).parts[:-1]
        splits = (i for i, folder in enumerate(folders) if role_of_folder(folder) & SPLIT)
        return "/".join(folders[: next(splits, 1)]) or self.tree.root.resolve().name

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
