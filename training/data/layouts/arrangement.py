"""What the names of a tree, taken together, say of each of its images.

Splits, labels and masks are folders as plants name them, at any depth:

    line4/bracket/Train/good/001.jpg         OK/monday/001.png
    line4/bracket/Test/scratch/day1/201.jpg  NG/002.png
    line4/bracket/Ground_Truth/scratch/day1/201.png
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from onegauge.training.data.layouts.names import (
    EITHER,
    SPLIT,
    Role,
    role_of_file,
    role_of_folder,
    surely_defective,
    unmasked,
)
from onegauge.training.data.layouts.verdict import (
    Outcome,
    Verdict,
    left_out,
    place,
    taken,
    undecided,
)

Folders: TypeAlias = tuple[str, ...]  # the parts of a path of folders below the root
LABEL = Role.NORMAL | Role.DEFECTIVE


class Arrangement:
    """The images below a folder, their paths relative to it."""

    def __init__(self, images: Iterable[Path]) -> None:
        images = list(images)
        folders = {image.parts[:depth] for image in images for depth in range(len(image.parts))}
        self._named_normal = {
            path[:-1]: path[-1]
            for path in sorted(folders, reverse=True)
            if path and role_of_folder(path[-1]) & (Role.NORMAL | Role.TEST) == Role.NORMAL
        }  # of a folder the first folder in it that is
        self._file_named_normal = {
            image.parts[:-1]: image.name
            for image in images
            if Role.NORMAL in role_of_file(image.stem)
        }
        self._masks = dict(_masks(images))

    def for_training(self, file: Path) -> Verdict:
        """What becomes of an image where models are trained on normal ones."""
        folders, roles = _read(file)
        for role, why in ((Role.MASK, "masks"), (Role.TEST, "for tests")):
            if (at := _first(roles, role)) is not None:
                if at < _split_above_normal(roles):
                    return undecided(*folders[: at + 1], why=f"{why}, or a product")
                return left_out(*folders[: at + 1], why=why)
        if unmasked(file.stem):
            return left_out(*folders, why="masks, by the names of files")
        verdict = self._by_folders(file, folders, roles)
        if Role.DEFECTIVE not in role_of_file(file.stem) or not verdict.is_taken:
            return verdict
        if folders in self._file_named_normal or surely_defective(file.stem):
            return left_out(*folders, why="names of files mean defects")
        return taken(*folders, why="for training, though names of files may mean defects")

    def for_test(self, file: Path, split: int | None, *, included: bool) -> Verdict:
        """What becomes of an image in evaluation, which takes a folder of tests and a label."""
        folders, roles = _read(file)
        mask = _first(roles, Role.MASK)
        if not included and (mask is not None or unmasked(file.stem)):
            return left_out(*folders[: None if mask is None else mask + 1], why="masks")
        if not included and split is None:
            return left_out(*folders, why="in no folder of tests")
        if (label := self.label_of(file, split)) is None:
            return left_out(*folders, why="no folder tells whether they are normal")
        return taken(*folders, why="normal" if is_normal(label) else "anomalous")

    def _by_folders(self, file: Path, folders: Folders, roles: Sequence[Role]) -> Verdict:
        normal = _last(roles, Role.NORMAL)
        below, above = roles[normal + 1 :], roles[: max(normal, 0)]
        if (harmful := _first(below, Role.DEFECTIVE)) is not None:
            return left_out(*folders[: normal + harmful + 2], why="the name means defects")
        if (doubtful := _first(below, Role.DOUBTFUL)) is not None:
            return undecided(*folders[: normal + doubtful + 2], why="may be defects or tests")
        if normal < 0 and Role.DOUBTFUL in role_of_file(file.stem):
            return undecided(*file.parts, why="may be a defect")
        # folders above that of the split are products whatever their names mean
        contrary = None if _split_above_normal(roles) else _first(above, EITHER)
        if contrary is not None:
            why = f"in {place(*folders[: contrary + 1])}"
            return undecided(*folders[: normal + 1], why=why)
        return self._beside(file, folders, roles, normal + 1)

    def label_of(self, file: Path, split: int | None) -> str | None:
        """The folder, below that of the split if there is one, that labels a test image.

        The one beside a folder of normal images; else one that is named like a label, or the only
        one below the split. None where none does.
        """
        folders, roles = _read(file)
        if split is not None and roles[split] & LABEL:
            return folders[split]
        start = 0 if split is None else split + 1
        beside = (i for i in range(start, len(folders)) if folders[:i] in self._named_normal)
        named = (i for i in range(start, len(folders)) if roles[i] & LABEL)
        only = start if split is not None and len(folders) == start + 1 else None
        label = next(beside, next(named, only))
        return None if label is None else folders[label]

    def mask_of(self, file: Path) -> Path | None:
        """The mask of an image: beside it, or as far below a folder of masks.

        That is one in the place of, or around, a folder that the image is in. In the place of
        `train` it is not, as masks there are those of `test`.
        """
        folders, roles = _read(file)
        lower, name = [folder.casefold() for folder in folders], file.stem.casefold()
        for depth in range(len(folders) + 1):
            in_place, around = lower[depth + 1 :], lower[depth:]
            of_train = depth < len(folders) and roles[depth] & Role.TRAIN
            for rest in [around] if of_train else [in_place, around]:
                found = self._masks.get((tuple(lower[:depth]), (*rest, name)))
                if found is not None and found != file:
                    return found
        return None

    def product_of(self, file: Path) -> str:
        """The folders above that of the split, else those above the folders that are labels.

        Without splits and labels the first folder; empty where there is none.
        """
        folders, roles = _read(file)
        split = _last(roles, SPLIT)
        if split > 0:
            return "/".join(folders[:split])
        start = split + 1
        for depth in range(start, len(folders) + 1):
            if folders[:depth] in self._named_normal:
                return "/".join(folders[start:depth])
        unnamed = split < 0 and folders and not roles[0] & LABEL
        return folders[0] if unnamed else ""

    def _beside(self, file: Path, folders: Folders, roles: Sequence[Role], start: int) -> Verdict:
        """Undecided where something else beside it, or a mask, tells that it may be defective."""
        for depth in range(start, len(folders) + 1):
            if folders[:depth] not in self._named_normal:
                continue
            why = f"beside {place(*folders[:depth], self._named_normal[folders[:depth]])}"
            if depth == len(folders):
                loose = f"{place(*folders)}/*{file.suffix}".removeprefix("./")
                return Verdict(Outcome.UNDECIDED, loose, why)
            if not roles[depth]:
                return undecided(*folders[: depth + 1], why=why)
        if start:  # below a folder of normal images
            return taken(*folders)
        normal = self._file_named_normal.get(folders)
        if normal and not role_of_file(file.stem):
            return undecided(*file.parts, why=f"beside {place(*folders, normal)}")
        if self.mask_of(file):
            return left_out(*folders, why="there is a mask of it")
        return taken(*folders)


def _masks(images: Sequence[Path]) -> Iterable[tuple[tuple[Folders, Folders], Path]]:
    """Each mask by the folder that its image is in, or in a folder of, and the path from there.

    Under its own name first, then under that without `_mask`, which comes before another's own.
    """
    bare: list[tuple[tuple[Folders, Folders], Path]] = []
    for image in images:
        folders, roles = _read(image)
        stem, at = unmasked(image.stem), _first(roles, Role.MASK)
        lower = tuple(folder.casefold() for folder in folders)
        if at is not None:
            yield (lower[:at], (*lower[at + 1 :], image.stem.casefold())), image
        if stem:
            cut = len(lower) if at is None else at
            bare.append(((lower[:cut], (*lower[cut + 1 :], stem.casefold())), image))
    yield from bare


def is_normal(label: str) -> bool:
    """Whether the images of a folder that is a label are normal ones."""
    return Role.NORMAL in role_of_folder(label)


def _read(file: Path) -> tuple[Folders, list[Role]]:
    folders = file.parts[:-1]
    return folders, [role_of_folder(folder) for folder in folders]


def _split_above_normal(roles: Sequence[Role]) -> int:
    """The index of `train` in `.../train/good`, 0 where there is none or nothing is above it."""
    above = _last(roles, Role.NORMAL) - 1
    return above if above > 0 and Role.TRAIN in roles[above] else 0


def _first(roles: Sequence[Role], wanted: Role) -> int | None:
    return next((i for i, role in enumerate(roles) if role & wanted), None)


def _last(roles: Sequence[Role], wanted: Role) -> int:
    """The index of the last one, -1 where there is none."""
    return max((i for i, role in enumerate(roles) if role & wanted), default=-1)
