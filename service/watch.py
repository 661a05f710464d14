"""A folder in which a camera drops files → decisions: the command `onegauge watch`.

A file is inspected once it has stopped growing. What was found goes into a file of JSON lines,
which is the memory too: started again, the command goes on after the last line, so that no file is
lost and none is decided twice. While the gateway is away, files wait.
"""

import json
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from time import monotonic
from typing import IO, Any, NamedTuple, Self, TypeAlias

from service.bulk import BATCH, REFUSED, outcomes_of, readable, refused
from service.client import Client, ClientError, Named, Refused, key_of_environment
from service.files import images_below
from service.schemas import Options

POLL_S = 0.2
SETTLED_S = 0.5  # without a change of size or time, a file is taken to be whole
AWAY_S = 1.0  # between tries while the gateway is away
FATAL = (400, 401, 403, 404, 406)  # nothing that waiting would mend


class State(NamedTuple):
    """What a file is known by: another size or time is another file."""

    size: int
    mtime_ns: int


Found: TypeAlias = tuple[str, State, dict[str, Any]]  # path below the folder, and its line


@dataclass(frozen=True)
class Post:
    """What to watch, what to ask, and where what was found goes."""

    folder: Path
    jsonl: Path
    options: Options
    rejects: Path | None = None  # folder for what is anomalous or could not be decided
    move: bool = False  # rejects out of the folder, instead of linking them


def watch(post: Post, url: str) -> None:
    """Inspect what comes until SIGINT or SIGTERM, which wait for the answer under way."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Client(url, api_key=key_of_environment()) as client:
        Watch(post, client).run(stop)


class Watch:
    """One folder and one gateway."""

    def __init__(self, post: Post, client: Client) -> None:
        if not post.folder.is_dir():
            raise ClientError(f"{post.folder}: no such folder")
        # whole paths, since rejects may lie below the folder and are not to be inspected again
        rejects = post.rejects and post.rejects.resolve()
        self._post = replace(post, folder=post.folder.resolve(), rejects=rejects)
        self._client = client
        self._journal = Journal(post.jsonl)
        self._settling: dict[str, tuple[State, float]] = {}
        self._locked: set[str] = set()  # files that could not be read, and it was said
        self._away = False

    def run(self, stop: Event) -> None:
        """Inspect what comes until `stop`; raises ClientError for what waiting would not mend."""
        if last := self._journal.last:  # was it put by before the end came?
            name, state, is_reject = last
            if is_reject and _state(self._post.folder / name) == state:
                self._put_by(name, state)
        with self._journal:
            while not stop.is_set():
                stop.wait(self._round())

    def _round(self) -> float:
        """Inspect what has settled; returns the seconds until it is worth looking again."""
        due = self._settled()[:BATCH]
        try:
            for name, state, record in self._inspect(due):
                self._journal.write(name, state, record)
                if _is_reject(record):
                    self._put_by(name, state)
        except ClientError as exc:
            if isinstance(exc, Refused) and exc.status in FATAL:
                raise
            if not self._away:
                sys.stderr.write(f"onegauge: files wait: {exc}\n")
            self._away = True
            return AWAY_S
        self._away = False
        return 0 if due else POLL_S

    def _settled(self) -> list[tuple[str, State]]:
        """Files that have not been inspected and have stopped growing, the oldest first."""
        now, seen, due = monotonic(), set(), []
        for path in images_below(self._post.folder):
            if _is_below(path, self._post.rejects):
                continue
            name, state = path.relative_to(self._post.folder).as_posix(), _state(path)
            if state is None or self._journal.knows(name, state):
                continue
            seen.add(name)
            known, since = self._settling.get(name, (None, now))
            if known != state:
                self._settling[name] = (state, now)
            elif now - since >= SETTLED_S:
                due.append((state.mtime_ns, name, state))
        for gone in self._settling.keys() - seen:
            del self._settling[gone]
        return [(name, state) for _, name, state in sorted(due)]

    def _inspect(self, due: Sequence[tuple[str, State]]) -> Iterator[Found]:
        """What the gateway says of each file; one that has changed meanwhile is left out."""
        files = [(name, state, self._read(name, state)) for name, state in due]
        images = [(name, state, data) for name, state, data in files if data is not None]
        if not images:
            return
        named = [Named(readable(name), data) for name, _, data in images]
        try:
            answer = self._client.inspect(named, self._post.options)
        except Refused as exc:
            if exc.status not in REFUSED:
                raise
            if len(images) == 1:
                ((name, state, _),) = images
                yield name, state, refused(Path(name), exc).record()
                return
            for name, state, _ in images:  # one of them spoils the request for all
                yield from self._inspect([(name, state)])
            return
        outcomes = outcomes_of([Path(name) for name, _, _ in images], answer)
        for (name, state, _), outcome in zip(images, outcomes, strict=True):
            yield name, state, outcome.record()

    def _read(self, name: str, state: State) -> bytes | None:
        """The bytes of a file, None when it is not as it was; a locked one has to settle anew."""
        path = self._post.folder / name
        try:
            data = path.read_bytes()
        except OSError as exc:
            del self._settling[name]
            if name not in self._locked:
                self._locked.add(name)
                sys.stderr.write(f"onegauge: {path} waits: {exc.strerror}\n")
            return None
        self._locked.discard(name)
        return data if _state(path) == state else None

    def _put_by(self, name: str, state: State) -> None:
        """Move a reject out of the folder, or link it; a file of that name there stays as it is."""
        if self._post.rejects is None:
            return
        source, target = self._post.folder / name, self._post.rejects / name
        if target.exists() and not target.samefile(source):
            target = target.with_name(f"{target.stem}.{state.mtime_ns}{target.suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        if self._post.move:
            shutil.move(source, target)
        elif not target.exists():
            try:
                target.hardlink_to(source)
            except OSError:  # another file system
                shutil.copy2(source, target)


class Journal:
    """The file of JSON lines, and which files it has a line for."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.last: tuple[str, State, bool] | None = None  # path, state, whether it is a reject
        self._known: dict[str, State] = {}  # of each path, as it was when its last line was written
        whole = 0
        try:
            with file.open("rb") as lines:
                for line in lines:
                    if not line.endswith(b"\n"):
                        break  # cut off by a crash: its file is inspected again
                    whole += len(line)
                    self._remember(json.loads(line))
            os.truncate(file, whole)
        except FileNotFoundError:
            file.parent.mkdir(parents=True, exist_ok=True)
        except (ValueError, KeyError, TypeError) as exc:
            raise ClientError(f"{file} was not written by onegauge watch: {exc!r}") from exc

    def __enter__(self) -> Self:
        self._output: IO[str] = self._file.open("a", encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(self, *_: object) -> None:
        self._output.close()

    def write(self, path: str, state: State, record: dict[str, Any]) -> None:
        """Add a line that a crash after this does not undo."""
        line = {"path": path, **state._asdict(), **record}
        self._output.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._output.flush()
        os.fsync(self._output.fileno())
        self._remember(line)

    def knows(self, path: str, state: State) -> bool:
        """Whether the file has a line as it is now."""
        return self._known.get(path) == state

    def _remember(self, line: dict[str, Any]) -> None:
        path, state = line["path"], State(line["size"], line["mtime_ns"])
        self._known[path] = state
        self.last = (path, state, _is_reject(line))


def _is_reject(record: dict[str, Any]) -> bool:
    return record.get("decision") != "normal"


def _state(path: Path) -> State | None:
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return State(status.st_size, status.st_mtime_ns)


def _is_below(path: Path, folder: Path | None) -> bool:
    return folder is not None and path.is_relative_to(folder)
