"""The measured figures of a grid, on disk as JSON lines."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from onegauge.training.errors import CheckpointError
from onegauge.training.resume import whole


@dataclass(frozen=True)
class Result:
    """One cell of the grid."""

    detector: str
    backbone: str
    image_size: int
    alignment: str
    seed: int
    card: dict[str, str] = field(default_factory=dict)  # where it comes from
    figures: dict[str, Any] = field(default_factory=dict)  # of `evaluate.figures_of`

    @property
    def key(self) -> tuple[str, str, int, str, int]:
        """What distinguishes it from others."""
        return self.detector, self.backbone, self.image_size, self.alignment, self.seed


class Results:
    """All results in a file, which is whole at any time."""

    def __init__(self, file: Path) -> None:
        """Read the file, where there is one. Raises CheckpointError for what is none of ours."""
        self.file = file
        self.rows: list[Result] = []
        if file.exists():
            try:
                self.rows = [Result(**json.loads(line)) for line in file.read_text().splitlines()]
            except (ValueError, TypeError) as exc:
                raise CheckpointError(f"{file} holds no results: {exc}; move it away") from exc

    def has(self, result: Result) -> bool:
        """Whether this cell has been measured."""
        return result.key in {row.key for row in self.rows}

    def add(self, result: Result) -> None:
        """Keep one more result."""
        self.rows.append(result)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with whole(self.file) as file:
            file.write_text("".join(f"{json.dumps(asdict(row))}\n" for row in self.rows))
