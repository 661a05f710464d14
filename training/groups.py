"""Which images show one part, and which are of one group, whose images are never compared.

Shots of one part are so alike that each tells how the others score, so no split divides a part, it
counts once, and what sets the threshold is scored without it. A part is told by names, or found in
the images: see `copies`. One that is told is a group. Where parts are found each picture is one:
what is near to a reference is near to new images as well, and tells of both what is usual.
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
    """The number (N,) of each image's part, counted as they first come."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(part, len(numbers)) for part in parts], np.int64)


def part_by_part(parts: np.ndarray) -> np.ndarray:
    """A group (N,) for each image of the parts (N,), so numbered that those of a part follow."""
    groups = np.empty_like(parts)
    groups[np.argsort(parts, kind="stable")] = np.arange(len(parts))
    return groups


def groups_within(parts: np.ndarray, groups: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The first and the last group (..., 2) of the parts `ends` (..., 2), first to last.

    `parts` and `groups` (N,) are those of all images, numbered in the same order.
    """
    _, one = np.unique(groups, return_index=True)
    whose, first, last = parts[one], ends[..., 0], ends[..., 1]  # (G,) in rising order
    return np.stack([whose.searchsorted(first), whose.searchsorted(last, "right") - 1], axis=-1)


def one_of_each(parts: np.ndarray, chosen: np.ndarray, seed: int) -> np.ndarray:
    """One image of each chosen part (G,), drawn at random among the images' parts (N,): (G,).

    Of a new part, too, any image may come, so that these are exchangeable with it.
    """
    order = np.random.default_rng(seed).permutation(len(parts))
    _, first = np.unique(parts[order], return_index=True)
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
