"""Images → a running gateway → a table, JSON lines and overlays: the command `onegauge inspect`."""

import asyncio
import os
import sys
from base64 import b64decode
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress
from rich.table import Column, Table
from rich.text import Text

from onegauge.client.calls import Away, ClientError, Named, Refused, readable
from onegauge.client.client import AsyncClient, key_of_environment
from onegauge.client.json_lines import write_line
from onegauge.client.outcome import Outcome, outcomes_of, without_decision
from onegauge.files import images_below, read_file
from onegauge.schemas import Options

BATCH = 8  # images per request
IN_FLIGHT = 4  # requests at a time
REFUSED = (413, 415, 422)  # because of what was sent, not because something is broken
FATAL = (401, 403, 404, 406)  # whatever is sent: a wrong key or address

NORMAL, ERROR, ANOMALOUS = 0, 1, 2  # exit statuses
COLOURS = {"normal": "green", "anomalous": "red", "error": "yellow"}


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
    counts = asyncio.run(_inspect_and_show(images, url, inquiry))
    if counts["error"]:
        return ERROR
    return ANOMALOUS if counts["anomalous"] else NORMAL


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


async def inspect(
    client: AsyncClient,
    images: Sequence[Path],
    options: Options,
    mask: bytes | None = None,
) -> AsyncIterator[Outcome]:
    """Send the images in batches, a few at a time, and yield the outcomes in their order.

    Raises ClientError when no gateway answers at the client's address, or one that answers none.
    """
    requests = _Requests(client, options, mask)
    pending: deque[asyncio.Task[list[Outcome]]] = deque()
    try:
        for start in range(0, len(images), BATCH):
            if len(pending) == IN_FLIGHT:
                for outcome in await pending.popleft():
                    yield outcome
            batch = requests.outcomes(images[start : start + BATCH])
            pending.append(asyncio.create_task(batch))
        while pending:
            for outcome in await pending.popleft():
                yield outcome
    except ClientError:
        for outcome in _found(pending):
            yield outcome
        raise
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)


def _found(batches: Iterable[asyncio.Task[list[Outcome]]]) -> Iterator[Outcome]:
    """The outcomes of the batches that have ended well."""
    for task in batches:
        if task.done() and not task.exception():
            yield from task.result()


class _Requests:
    """What is asked for all images, and whether there are answers."""

    def __init__(self, client: AsyncClient, options: Options, mask: bytes | None) -> None:
        self._client = client
        self._options = options
        self._mask = mask
        self._answered = False  # since a batch failed altogether

    async def outcomes(self, paths: Sequence[Path]) -> list[Outcome]:
        """The outcomes of a batch; files that cannot be read here are not sent."""
        contents: dict[Path, bytes] = {}
        outcomes: dict[Path, Outcome] = {}
        for path in paths:
            try:
                contents[path] = read_file(path)
            except OSError as exc:
                outcomes[path] = Outcome(path, problem=f"cannot be read: {exc.strerror}")
        if contents:
            outcomes |= {o.path: o for o in await self._send(contents)}
        return [outcomes[path] for path in paths]

    async def _send(self, contents: dict[Path, bytes]) -> list[Outcome]:
        """One request; where it fails, one for each image, which may fail alone."""
        if len(contents) > 1:
            try:
                return await self._ask(contents)
            except ClientError as exc:
                _raise_if_fatal(exc)
        outcomes, failures = [], []
        for path, data in contents.items():
            try:
                outcomes += await self._ask({path: data})
            except ClientError as exc:
                _raise_if_fatal(exc)
                outcomes.append(without_decision(path, exc))
                if not (isinstance(exc, Refused) and exc.status in REFUSED):
                    failures.append(exc)
        if len(failures) == len(contents) and not await self._works():
            raise failures[0]
        return outcomes

    async def _ask(self, contents: dict[Path, bytes]) -> list[Outcome]:
        images = [Named(path.name, data) for path, data in contents.items()]
        answer = await self._client.inspect(images, self._options, self._mask)
        outcomes = outcomes_of(list(contents), answer)
        self._answered = True
        return outcomes

    async def _works(self) -> bool:
        """Whether there was an answer since this was asked, or the gateway says there would be."""
        answered, self._answered = self._answered, False
        if answered:
            return True
        try:
            await self._client.ready()
        except ClientError:
            return False
        return True


def _raise_if_fatal(exc: ClientError) -> None:
    if isinstance(exc, Away) or (isinstance(exc, Refused) and exc.status in FATAL):
        raise exc


async def _inspect_and_show(images: list[Path], url: str, inquiry: Inquiry) -> Counter[str]:
    """Write every outcome as it comes, then the table; memory does not grow with the pictures.

    The table has what was found until something ended it, too. An overlay that cannot be written is
    told at the end, since the decisions do not depend on it.
    """
    image = Column("image", overflow="fold")  # a path is of no use when cut
    remark = Column("remark", overflow="fold")
    table = Table(image, "decision", "score", "p-value", "regions", remark)
    counts: Counter[str] = Counter()
    unwritten: list[ClientError] = []
    try:
        async with AsyncExitStack() as stack:
            jsonl = inquiry.jsonl or Path(os.devnull)
            with _told("open", jsonl):
                lines = stack.enter_context(jsonl.open("wb", buffering=0))
            advance = stack.enter_context(_progress(len(images)))
            client = await stack.enter_async_context(AsyncClient(url, api_key=key_of_environment()))
            mask = _read_mask(inquiry.mask)
            async for outcome in inspect(client, images, inquiry.options(), mask):
                with _told("write", jsonl):
                    write_line(lines.fileno(), {"path": str(outcome.path), **outcome.record()})
                try:
                    _write_overlay(outcome, inquiry.overlays)
                except ClientError as exc:
                    unwritten.append(exc)
                _add_row(table, outcome)
                counts[outcome.decision] += 1
                advance()
    finally:
        if counts:
            _show(table, counts, len(images))
    if unwritten:
        raise unwritten[0]
    return counts


def _show(table: Table, counts: Counter[str], total: int) -> None:
    told = ", ".join(f"{count} {decision}" for decision, count in sorted(counts.items()))
    inspected = f"{total}" if counts.total() == total else f"{counts.total()} of {total}"
    if isinstance(sys.stdout, TextIOWrapper):  # a terminal may lack letters of a file's name
        sys.stdout.reconfigure(errors="backslashreplace")
    with _told("write", Path("standard output")):
        _Console().print(table, f"inspected {inspected}: {told}")


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
