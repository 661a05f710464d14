"""Images → a running gateway → a table, JSON lines and overlays: the command `onegauge inspect`."""

import asyncio
import os
import sys
from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from onegauge.client.async_client import AsyncClient
from onegauge.client.batches import inspect_in_batches
from onegauge.client.calls import ClientError, readable
from onegauge.client.client import key_of_environment
from onegauge.client.json_lines import write_line
from onegauge.client.outcome import Outcome
from onegauge.files import images_below, read_file
from onegauge.schemas import Options, PartDecision

NORMAL, ERROR, ANOMALOUS = 0, 1, 2  # exit statuses
_DEFAULT = Options()
COLOURS = {"normal": "green", "anomalous": "red", "error": "yellow"}


def run(
    paths: Sequence[Path],
    url: str,
    options: Options = _DEFAULT,
    *,
    mask: Path | None = None,
    jsonl: Path | None = None,
    overlays: Path | None = None,
) -> int:
    """Inspect files and folders, show and write the outcomes; returns the exit status.

    ERROR when an image got no decision, else ANOMALOUS when one was anomalous, or their part, else
    ERROR when that was not complete, else NORMAL. `mask` is a picture, white where to inspect;
    `jsonl` a file for one JSON object per image, `overlays` a folder for one JPEG per decided
    image. Raises ClientError.
    """
    images = find_images(paths)
    if options.views is not None and len(images) > options.views:
        raise ClientError(f"{len(images)} images are more than {options.views} views of a part")
    if options.view is not None and len(images) > 1:
        raise ClientError(f"{len(images)} images are more than the one that a camera has of a part")
    if overlays:
        options = options.model_copy(update={"map": "overlay"})
    tally = asyncio.run(_inspect_and_show(images, url, options, mask, jsonl, overlays))
    return tally.status


@dataclass
class _Tally:
    """How many images got which decision, and what is known of the part that they show."""

    counts: Counter[str] = field(default_factory=Counter)
    part: PartDecision | None = None

    def add(self, outcome: Outcome) -> None:
        """Count an image; of what answers say of the part, the most counts."""
        self.counts[outcome.decision] += 1
        if outcome.part and (self.part is None or outcome.part.seen > self.part.seen):
            self.part = outcome.part

    @property
    def status(self) -> int:
        """The exit status."""
        word = self.part.decision if self.part else "normal"
        if self.counts["error"]:
            return ERROR
        if self.counts["anomalous"] or word == "anomalous":
            return ANOMALOUS
        return NORMAL if word == "normal" else ERROR


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and the images anywhere below folders; raises ClientError for neither.

    A folder that cannot be listed is among them, to be a problem of its own.
    """
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ClientError(f"{path}: no such file or folder")
        unlisted: list[OSError] = []
        found += sorted(images_below(path, unlisted.append)) if path.is_dir() else [path]
        found += [Path(exc.filename) for exc in unlisted]
    if not found:
        raise ClientError(f"no images below {', '.join(map(str, paths))}")
    return found


async def _inspect_and_show(
    images: list[Path],
    url: str,
    options: Options,
    mask: Path | None,
    jsonl: Path | None,
    overlays: Path | None,
) -> _Tally:
    """Write every outcome as it comes, then the table; memory does not grow with the pictures.

    The table has what was found until something ended it, too. An overlay that cannot be written is
    told at the end, since the decisions do not depend on it.
    """
    image = Column("image", overflow="fold")  # a path is of no use when cut
    remark = Column("remark", overflow="fold")
    table = Table(image, "decision", "score", "p-value", "regions", remark)
    tally = _Tally()
    unwritten: list[ClientError] = []
    try:
        async with AsyncExitStack() as stack:
            jsonl = jsonl or Path(os.devnull)
            with _told("open", jsonl):
                lines = stack.enter_context(jsonl.open("wb", buffering=0))
            advance = stack.enter_context(_progress(len(images)))
            client = await stack.enter_async_context(AsyncClient(url, api_key=key_of_environment()))
            sent = _read_mask(mask)
            async for outcome in inspect_in_batches(client, images, options, sent):
                with _told("write", jsonl):
                    write_line(lines.fileno(), {"path": str(outcome.path), **outcome.record()})
                try:
                    _write_overlay(outcome, overlays)
                except ClientError as exc:
                    unwritten.append(exc)
                _add_row(table, outcome)
                tally.add(outcome)
                advance()
    finally:
        if tally.counts:
            _show(table, tally, len(images))
    if unwritten:
        raise unwritten[0]
    return tally


def _show(table: Table, tally: _Tally, total: int) -> None:
    counts = tally.counts
    told = ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items()))
    inspected = f"{total}" if counts.total() == total else f"{counts.total()} of {total}"
    with _told("write", Path("standard output")):
        console = _Console()
        console.print(table, f"inspected {inspected}: {told}")
        if part := tally.part:
            seen = f"{part.seen} of {part.views} views"
            console.print(Text(f"part {part.part}: {part.decision or 'not complete'}, {seen}"))


class _Console(Console):
    """Standard output, which may be closed before its end: by `head`, for example."""

    def on_broken_pipe(self) -> None:
        """Go on, and let nothing that is left be written."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _told(action: str, path: Path) -> Iterator[None]:
    """Turn an OSError into a ClientError that says what could not be done to which file."""
    try:
        yield
    except OSError as exc:
        raise ClientError(f"cannot {action} {exc.filename or path}: {exc.strerror}") from exc


def _read_mask(mask: Path | None) -> bytes | None:
    if mask is None:
        return None
    with _told("open", mask):
        return read_file(mask)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """A progress bar on standard error, where people watch; gives the function that advances it."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield partial(progress.advance, progress.add_task("Inspecting", total=total))


def _write_overlay(outcome: Outcome, folder: Path | None) -> None:
    if folder is None or outcome.found is None or outcome.found.anomaly_map is None:
        return
    # the path as given, below the folder: images of one name in two folders stay apart
    inside = [part for part in outcome.path.parts if part not in (outcome.path.anchor, "..")]
    picture = folder.joinpath(*inside).with_suffix(outcome.path.suffix + ".overlay.jpg")
    with _told("write", picture):
        picture.parent.mkdir(parents=True, exist_ok=True)
        try:
            picture.write_bytes(b64decode(outcome.found.anomaly_map.data or ""))
        except OSError:
            with suppress(OSError):
                picture.unlink()  # a part of it would be taken for a picture
            raise


def _add_row(table: Table, outcome: Outcome) -> None:
    path = Text(readable(str(outcome.path)))
    decision = Text(outcome.decision, COLOURS[outcome.decision])
    if found := outcome.found:
        numbers = f"{found.score:.2f}", f"{found.p_value:.3f}", str(len(found.regions))
        remark = "unknown product" if found.unknown_product else ""
        table.add_row(path, decision, *numbers, remark)
    else:
        table.add_row(path, decision, "", "", "", Text(outcome.problem or ""))
