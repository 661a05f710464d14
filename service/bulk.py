"""Images → a running gateway → a table, JSON lines and overlays: the command `onegauge inspect`."""

import asyncio
import json
import os
from base64 import b64decode
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from service.client import AsyncClient, ClientError, Named, Refused, key_of_environment
from service.files import images_below
from service.schemas import Answer, Decision, ModelVersion, Options

BATCH = 8  # images per request
IN_FLIGHT = 4  # requests at a time
REFUSED = (413, 415, 422)  # because of what was sent, not because something is broken

NORMAL, ERROR, ANOMALOUS = 0, 1, 2  # exit statuses
COLOURS = {"normal": "green", "anomalous": "red", "error": "yellow"}


@dataclass(frozen=True)
class Outcome:
    """What the gateway found in one image, or the problem in place of that."""

    path: Path
    model: ModelVersion | None = None
    found: Decision | None = None
    problem: str | None = None

    @property
    def decision(self) -> str:
        """`normal`, `anomalous` or `error`."""
        return self.found.decision if self.found else "error"

    def record(self) -> dict[str, Any]:
        """The gateway's answer without pictures, or the problem."""
        if not (self.model and self.found):
            return {"problem": self.problem}
        found = self.found.model_dump(mode="json", exclude={"anomaly_map"})
        return {"model": self.model.model_dump(), **found}

    def to_json(self) -> str:
        """One line of JSON: the path, then what is on record."""
        return json.dumps({"path": str(self.path), **self.record()}, ensure_ascii=False)


@dataclass(frozen=True)
class Inquiry:
    """What to ask for every image, and where the answers go besides the table."""

    line: str | None = None
    threshold: float | None = None
    jsonl: Path | None = None  # a file, one JSON object per image
    overlays: Path | None = None  # a folder, one JPEG per decided image
    mask: Path | None = None  # a picture, white where to inspect

    def options(self) -> Options:
        """The options of `POST /inspect`; raises ClientError for one that no gateway takes."""
        picture: Literal["overlay", "none"] = "overlay" if self.overlays else "none"
        try:
            return Options(line=self.line, threshold=self.threshold, map=picture)
        except ValidationError as exc:
            error = exc.errors()[0]
            raise ClientError(f"{error['loc'][0]} {error['input']!r}: {error['msg']}") from exc


def run(paths: Sequence[Path], url: str, inquiry: Inquiry) -> int:
    """Inspect files and folders, show and write the outcomes; returns the exit status.

    ERROR when an image got no decision, else ANOMALOUS when one was anomalous, else NORMAL.
    """
    images = find_images(paths)
    try:
        counts = asyncio.run(_inspect_and_show(images, url, inquiry))
    except OSError as exc:
        raise ClientError(f"cannot open {exc.filename}: {exc.strerror}") from exc
    if counts["error"]:
        return ERROR
    return ANOMALOUS if counts["anomalous"] else NORMAL


def find_images(paths: Sequence[Path]) -> list[Path]:
    """Files as given, and the images anywhere below folders; raises ClientError for neither."""
    found = []
    for path in paths:
        if not path.exists():
            raise ClientError(f"{path}: no such file or folder")
        found += sorted(images_below(path)) if path.is_dir() else [path]
    if not found:
        raise ClientError(f"no images below {', '.join(map(str, paths))}")
    return found


async def inspect(
    client: AsyncClient,
    images: Sequence[Path],
    options: Options,
    mask: bytes | None = None,
) -> AsyncIterator[Outcome]:
    """Send the images in batches, a few at a time, and yield the outcomes in their order.

    Raises ClientError when no gateway answers at the client's address, or one that fails.
    """
    pending: deque[asyncio.Task[list[Outcome]]] = deque()
    try:
        for start in range(0, len(images), BATCH):
            if len(pending) == IN_FLIGHT:
                for outcome in await pending.popleft():
                    yield outcome
            batch = _inspect_batch(client, images[start : start + BATCH], options, mask)
            pending.append(asyncio.create_task(batch))
        while pending:
            for outcome in await pending.popleft():
                yield outcome
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


async def _inspect_batch(
    client: AsyncClient, paths: Sequence[Path], options: Options, mask: bytes | None
) -> list[Outcome]:
    """The outcomes of a batch; files that cannot be read here are not sent."""
    contents: dict[Path, bytes] = {}
    outcomes: dict[Path, Outcome] = {}
    for path in paths:
        try:
            contents[path] = path.read_bytes()
        except OSError as exc:
            outcomes[path] = Outcome(path, problem=f"cannot be read: {exc.strerror}")
    if contents:
        outcomes |= {o.path: o for o in await _send(client, contents, options, mask)}
    return [outcomes[path] for path in paths]


async def _send(
    client: AsyncClient, contents: dict[Path, bytes], options: Options, mask: bytes | None
) -> list[Outcome]:
    """One request; where the gateway refuses it as a whole, one request for each image."""
    images = [Named(readable(path.name), data) for path, data in contents.items()]
    try:
        return outcomes_of(list(contents), await client.inspect(images, options, mask))
    except Refused as exc:
        if exc.status not in REFUSED:
            raise
        if len(contents) == 1:
            return [refused(path, exc) for path in contents]
    alone = [await _send(client, {path: data}, options, mask) for path, data in contents.items()]
    return [outcome for outcomes in alone for outcome in outcomes]


def refused(path: Path, why: Refused) -> Outcome:
    """The outcome of an image whose request was refused."""
    return Outcome(path, problem=why.problem.get("detail", str(why)))


def outcomes_of(paths: Sequence[Path], answer: Answer) -> list[Outcome]:
    """The outcomes of an answered request, in the order of its images."""
    return [
        Outcome(path, answer.model, found=result)
        if isinstance(result, Decision)
        else Outcome(path, answer.model, problem=result.problem.detail)
        for path, result in zip(paths, answer.results, strict=True)
    ]


async def _inspect_and_show(images: list[Path], url: str, inquiry: Inquiry) -> Counter[str]:
    """Write every outcome as it comes, then the table; memory does not grow with the pictures."""
    image = Column("image", overflow="fold")  # a path is of no use when cut
    table = Table(image, "decision", "score", "p-value", "regions", "remark")
    counts: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        jsonl = inquiry.jsonl or Path(os.devnull)
        # the escape of a byte that is no UTF-8 is JSON's own: the line gives the path unchanged
        lines = stack.enter_context(jsonl.open("w", encoding="utf-8", errors="backslashreplace"))
        advance = stack.enter_context(_progress(len(images)))
        client = await stack.enter_async_context(AsyncClient(url, api_key=key_of_environment()))
        mask = inquiry.mask.read_bytes() if inquiry.mask else None
        async for outcome in inspect(client, images, inquiry.options(), mask):
            lines.write(outcome.to_json() + "\n")
            _write_overlay(outcome, inquiry.overlays)
            _add_row(table, outcome)
            counts[outcome.decision] += 1
            advance()
    told = ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items()))
    Console().print(table, f"inspected {len(images)}: {told}")
    return counts


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
    picture.parent.mkdir(parents=True, exist_ok=True)
    picture.write_bytes(b64decode(outcome.found.anomaly_map.data or ""))


def _add_row(table: Table, outcome: Outcome) -> None:
    path = Text(readable(str(outcome.path)))
    decision = Text(outcome.decision, COLOURS[outcome.decision])
    if found := outcome.found:
        numbers = f"{found.score:.2f}", f"{found.p_value:.3f}", str(len(found.regions))
        remark = "unknown product" if found.unknown_product else ""
        table.add_row(path, decision, *numbers, remark)
    else:
        table.add_row(path, decision, "", "", "", Text(outcome.problem or ""))


def readable(name: str) -> str:
    """A file's name with escapes for bytes that are no UTF-8, which nothing could print or send."""
    return name.encode(errors="backslashreplace").decode()
