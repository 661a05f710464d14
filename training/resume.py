"""The folder of an unfinished run: opened or resumed, every file in it whole or absent."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from onegauge.training.config import TrainConfig
from onegauge.training.errors import CheckpointError

FREE = ("resume", "device", "out", "allow_unreadable")  # may change when a run is resumed


def open_state(config: TrainConfig) -> Path:
    """The state folder of a new run or, with `resume`, of one that was interrupted.

    Raises CheckpointError rather than mix two runs or touch what is not a run.
    """
    state = config.out / "state"
    started = state / "config.json"
    if config.resume and started.is_file():
        refuse_changes(config, _read_record(started))
    elif config.out.exists() and not config.out.is_dir():
        raise CheckpointError(f"{config.out} is not a folder: choose another --out")
    elif config.out.exists() and any(config.out.iterdir()):
        way_out = "it holds no run to resume" if config.resume else "or --resume the run in it"
        raise CheckpointError(f"{config.out} is not empty: choose another --out; {way_out}")
    state.mkdir(parents=True, exist_ok=True)
    with whole(started) as file:
        file.write_text(json.dumps(record_of(config)))
    return state


def discard(state: Path) -> None:
    """Remove a state that nothing can be resumed from, and the run's folder if it is empty then."""
    shutil.rmtree(state)
    if not any(state.parent.iterdir()):
        state.parent.rmdir()


def refuse_changes(config: TrainConfig, before: Mapping[str, str]) -> None:
    """Raise CheckpointError for an option that is not what the run was started with."""
    now = record_of(config)
    if not now.keys() <= before.keys():
        raise CheckpointError(
            f"cannot resume {config.out}: an older version has started it; begin anew with another "
            "--out"
        )
    changed = [name for name in now if now[name] != before[name]]
    if changed:
        raise CheckpointError(
            f"cannot resume {config.out} with another {', '.join(changed)}: "
            f"it was started with {before[changed[0]]!r}"
        )


def record_of(config: TrainConfig) -> dict[str, str]:
    """Every option that makes a run what it is, as text."""
    return {name: str(value) for name, value in asdict(config).items() if name not in FREE}


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place once the block has ended well."""
    beside = path.with_name(f"{path.name}.part")
    yield beside
    os.replace(beside, path)


def _read_record(file: Path) -> dict[str, str]:
    try:
        return dict(json.loads(file.read_text()))
    except (OSError, ValueError) as exc:
        raise CheckpointError(f"cannot resume from {file}: {exc}; remove the run's folder") from exc
