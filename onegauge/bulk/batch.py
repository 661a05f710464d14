"""Images between the stages: columns of N of them.

path     N, in bytes, as names of files may be no text
problem  N, JSON; empty where there is none
data     N, the bytes of the files; empty where nobody needs them
size     (N, 2), width and height in pixels of the upright originals
pixels   (N, H, W, 3) uint8, where they are decoded
"""

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from onegauge.bulk.row import Row, refused
from onegauge.bulk.source import PATH
from onegauge.client.calls import readable
from onegauge.schemas import Options
from onegauge.service.model.contract import Contract

Batch: TypeAlias = dict[str, NDArray[Any]]


def empty(paths: Sequence[bytes], contract: Contract | None) -> Batch:
    """A batch to be filled, with pixels for a contract."""
    count = len(paths)
    batch: Batch = {
        PATH: np.array(paths, object),
        "problem": np.full(count, "", object),
        "data": np.full(count, b"", object),
        "size": np.zeros((count, 2), np.int32),
    }
    if contract:
        batch["pixels"] = np.zeros((count, contract.height, contract.width, 3), np.uint8)
    return batch


def name_of(batch: Batch, row: int) -> str:
    """The path of an image, as its row has it."""
    return readable(os.fsdecode(batch[PATH][row]))


def note(batch: Batch, row: int, problem: Mapping[str, Any]) -> None:
    """Give an image its problem details."""
    batch["problem"][row] = json.dumps(problem)


def refusals(batch: Batch, options: Options) -> dict[int, Row]:
    """The rows of the images that have a problem, by their places."""
    return {
        row: refused(name_of(batch, row), json.loads(problem), options)
        for row, problem in enumerate(batch["problem"])
        if problem
    }
