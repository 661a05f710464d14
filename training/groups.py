"""Which images show one part: a group, that no split, leave-out or search for neighbours divides.

Shots of one part are so alike that each tells how the others score. A group is told by names, or
found in the images: see `copies`.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from pathlib import PurePath

import numpy as np

from onegauge.training.errors import ConfigError, DataError

FOLDER = "folder"  # instead of an expression: what lies in one folder is of one part


def require_expression(group_by: str) -> None:
    """Raise ConfigError unless it is FOLDER or a regular expression with a group."""
    try:
        groups = group_by == FOLDER or re.compile(group_by).groups
    except re.error as exc:
        raise ConfigError(f"group_by {group_by!r} is no regular expression: {exc}") from exc
    if not groups:
        raise ConfigError(
            f"group_by {group_by!r} has no group that tells the part: put that in parentheses, "
            f"such as '(part\\d+)_', or write {FOLDER}"
        )


def parts_by_name(names: Iterable[str], group_by: str) -> dict[str, Hashable]:
    """The part of each image by its name below the root; DataError where a name does not tell."""
    return {name: _part(name, group_by) for name in names}


def numbered(parts: Sequence[Hashable]) -> np.ndarray:
    """The group (N,) of each image of the parts, counted as they first come."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(part, len(numbers)) for part in parts], np.int64)


def one_of_each(groups: np.ndarray, chosen: np.ndarray, seed: int) -> np.ndarray:
    """One image of each chosen group (G,), drawn at random among the images' groups (N,): (G,).

    Of a new part, too, any image may come, so that these are exchangeable with it.
    """
    order = np.random.default_rng(seed).permutation(len(groups))
    _, first = np.unique(groups[order], return_index=True)
    return np.sort(order[first][chosen])


def _part(name: str, group_by: str) -> Hashable:
    path = PurePath(name)
    if group_by == FOLDER:
        return path.parent
    match = re.search(group_by, path.as_posix())
    if match and any(match.groups()):  # else all that do not tell would be one part
        return match.groups()
    raise DataError(
        f"--group-by {group_by!r} does not match {path.as_posix()}: it must tell the part of every "
        "image by its path below the folder"
    )
