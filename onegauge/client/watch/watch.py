"""A folder in which a camera drops files → decisions: the command `onegauge watch`.

A file is inspected once it has stopped growing. What was found goes into a journal, which is the
memory too: started again, the command goes on after the last line, so that no file is lost and none
is decided twice. What fails for now waits, is tried again and holds up nothing else: a picture, the
gateway, the share, the journal, the folder of rejects.
"""

import signal
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nsmallest
from os.path import realpath
from pathlib import Path
from threading import Event
from typing import Any

from onegauge.client.batches import BATCH, FATAL, REFUSED
from onegauge.client.calls import Away, ClientError, Named, Refused
from onegauge.client.client import Client, key_of_environment
from onegauge.client.outcome import outcomes_of, without_decision
from onegauge.client.watch.arrivals import Arrivals, Pace, Picture
from onegauge.client.watch.feed import Feed
from onegauge.client.watch.journal import Journal, Stamp, held, is_reject, stamp_of
from onegauge.client.watch.rejects import Rejects
from onegauge.pauses import Trouble, say
from onegauge.schemas import Options

BUSY = (429, 503)  # which a gateway may answer to others as well
TRIES = 5  # of a picture that gets no decision, until it is on record as a reject
PACE = Pace()


@dataclass(frozen=True)
class Station:
    """An inspection station: where its camera drops files, what to ask, where outcomes go."""

    folder: Path
    jsonl: Path
    options: Options
    rejects: Path | None = None  # folder for what is anomalous or could not be decided
    move: bool = False  # rejects out of the folder, instead of linking them


def watch(station: Station, url: str) -> None:
    """Inspect what comes until SIGINT or SIGTERM, which wait for the answer under way."""
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with held(station.jsonl), Client(url, api_key=key_of_environment(), pause=stop.wait) as client:
        Watch(station, client).run(stop)


class Watch:
    """One folder and one gateway."""

    def __init__(
        self, station: Station, client: Client, pace: Pace = PACE, feed: Feed | None = None
    ) -> None:
        if not station.folder.is_dir():
            raise ClientError(f"{station.folder}: no such folder")
        # whole paths, since rejects may lie below the folder and are not to be inspected again
        folder = station.folder.resolve()
        rejects = station.rejects and Path(realpath(station.rejects))
        if rejects and folder.is_relative_to(rejects):
            raise ClientError(f"{station.rejects}: rejects have to go outside of {station.folder}")
        self._station = station
        self._client = client
        self._pace = pace
        self._feed = feed
        self._journal = Journal(station.jsonl)
        self._rejects = rejects and Rejects(rejects, folder, self._journal, move=station.move)
        self._arrivals = Arrivals(folder, self._journal, rejects, pace)
        self._unwritten: deque[tuple[str, Stamp, dict[str, Any]]] = deque()
        self._unwritable, self._away = Trouble(pace.away), Trouble(pace.away)
        self._undeletable = Trouble(pace.away)
        self._size = BATCH  # pictures per request, fewer after one that failed
        self._answers = 0
        self._stop = Event()

    def run(self, stop: Event) -> None:
        """Inspect what comes until `stop`; raises ClientError for what waiting would not mend."""
        self._stop = stop
        try:
            last = self._journal.last  # was it put by, or deleted, before the end came?
            if last and last.is_reject and self._rejects:
                self._rejects.put_by(last.path, last.stamp)
            if last and not last.is_reject:
                self._give_back(last.path, last.stamp, {"decision": "normal"})
            while not stop.is_set() and not (self._feed and self._feed.is_over()):
                stop.wait(self._round())
        finally:
            self._arrivals.close()

    def backlog(self) -> set[str]:
        """Names of the pictures below the folder that are not done."""
        return self._arrivals.names()

    def _round(self) -> float:
        """Inspect what is due; returns the seconds until it is worth looking again."""
        if self._rejects:
            self._rejects.again()
        if not self._unwritable.waits():
            self._write()
        due = self._arrivals.due()
        if not self._unwritten:
            due = self._without_problem(due)
        if self._unwritten or self._away.waits():
            return self._pace.look_s
        new = [picture for picture in due if picture.answers is None]
        fresh = self._of_one_request(nsmallest(self._size, new, _turn))
        failed = nsmallest(1, (p for p in due if p.answers is not None), _turn)
        self._ask(fresh)
        is_free = len(fresh) == len(new) and not (self._unwritten or self._away.waits())
        if failed and is_free:  # alone, and after all others: it may take a minute to fail
            self._ask(failed, was_ready=self._is_ready())
        return 0 if fresh or failed else self._pace.look_s

    def _without_problem(self, pictures: Sequence[Picture]) -> list[Picture]:
        """Put those on record that nobody shall be asked about; returns the others."""
        if not self._feed:
            return list(pictures)
        others = []
        for picture in pictures:
            problem = self._feed.problem_of(picture.name)
            if problem:
                self._unwritten.append((picture.name, picture.stamp, problem))
            else:
                others.append(picture)
        self._write()
        return others

    def _of_one_request(self, pictures: Sequence[Picture]) -> list[Picture]:
        """Those that are asked about in the same way as the first."""
        options = [self._options_of(picture) for picture in pictures]
        if options and options[0].view:  # a picture of a named camera goes alone
            return [*pictures[:1]]
        return [p for p, asked in zip(pictures, options, strict=True) if asked == options[0]]

    def _options_of(self, picture: Picture) -> Options:
        more = self._feed.asked_of(picture.name) if self._feed else {}
        return self._station.options.model_copy(update=more)

    def _ask(self, pictures: Sequence[Picture], *, was_ready: bool = False) -> None:
        """Have pictures inspected in one request; those that cannot be read now are left out."""
        read = [(picture, self._arrivals.read(picture)) for picture in pictures]
        sent = [(picture, data) for picture, data in read if data is not None]
        if not sent or self._stop.is_set():
            return
        try:
            named = [Named(picture.name, data) for picture, data in sent]
            answer = self._client.inspect(named, self._options_of(sent[0][0]))
            outcomes = outcomes_of([Path(picture.name) for picture, _ in sent], answer)
        except ClientError as exc:
            if not self._stop.is_set():  # which may be why
                self._take_failure([picture for picture, _ in sent], exc, was_ready)
            return
        records = [outcome.record() for outcome in outcomes]
        self._take_answer([picture for picture, _ in sent], records)

    def _take_answer(self, pictures: Sequence[Picture], records: Sequence[dict[str, Any]]) -> None:
        self._answers += 1
        self._size = min(2 * self._size, BATCH)
        self._away.ends("the gateway answers")
        for picture, record in zip(pictures, records, strict=True):
            self._unwritten.append((picture.name, picture.stamp, record))
        self._write()

    def _take_failure(self, pictures: Sequence[Picture], why: ClientError, was_ready: bool) -> None:
        """Send fewer, until the picture is found that fails; raises what waiting would not mend."""
        status, problem = (why.status, why.problem) if isinstance(why, Refused) else (None, {})
        if status in FATAL and (problem or not self._answers):
            raise why  # of a proxy, it may mean that the gateway is being replaced
        if isinstance(why, Away):
            self._away.begins(f"files wait: {why}")
        elif status in REFUSED and len(pictures) == 1:
            self._take_answer(pictures, [without_decision(Path(pictures[0].name), why).record()])
        elif status in REFUSED:  # one of them spoils the request for all
            for picture in pictures:
                self._ask([picture])
        elif len(pictures) > 1:
            self._size = max(1, len(pictures) // 4)
            for picture in pictures:  # others first: to find out which it is may take minutes
                picture.tries += 1
        elif self._is_to_blame(pictures[0], was_ready, is_busy=status in BUSY and bool(problem)):
            self._take_blame(pictures[0], why)
        else:
            self._away.begins(f"files wait: {why}")

    def _is_to_blame(self, picture: Picture, was_ready: bool, *, is_busy: bool) -> bool:
        """Whether the gateway had answers for others when a picture failed, alone."""
        has_answered = picture.answers is not None and picture.answers < self._answers
        picture.answers = self._answers
        picture.tries += 1
        # before the try too: the picture may be what takes it down
        return has_answered or (not is_busy and (was_ready or self._is_ready()))

    def _take_blame(self, picture: Picture, why: ClientError) -> None:
        """Try a picture again later and later; at some time it is on record as a reject."""
        picture.failures += 1
        self._arrivals.postpone(picture, self._pace.again.after(picture.failures))
        if picture.failures == 1:
            say(f"{picture.name} gets no decision and is tried again: {why}")
        line = self._journal.line_of(picture.name)
        if picture.failures == TRIES and not (line and line.stamp == picture.stamp):
            record = without_decision(Path(picture.name), why).record()
            self._unwritten.append((picture.name, picture.stamp, {**record, "retry": True}))
            self._write()

    def _is_ready(self) -> bool:
        """Whether the gateway says that it would answer."""
        if self._stop.is_set():
            return False
        try:
            self._client.ready()
        except ClientError:
            return False
        return True

    def _write(self) -> None:
        """Put on record what was found, and put rejects by."""
        while self._unwritten:
            name, stamp, record = self._unwritten[0]
            before = self._journal.line_of(name)
            if self._rejects and before and before.is_reject:
                self._rejects.withdraw(name, before.stamp)
            try:
                self._journal.write(name, stamp, record)
            except OSError as exc:
                self._unwritable.begins(f"decisions wait: {self._station.jsonl}: {exc.strerror}")
                return
            self._unwritable.ends(f"{self._station.jsonl} is written again")
            self._unwritten.popleft()
            is_needed = not self._give_back(name, stamp, record)
            if self._rejects and is_reject(record) and is_needed:
                self._rejects.put_by(name, stamp)
            if "retry" not in record:
                self._arrivals.drop(name, stamp)

    def _give_back(self, name: str, stamp: Stamp, record: dict[str, Any]) -> bool:
        """Tell the feed what became of its picture; whether nobody needs its file any more.

        Then it is deleted, unless it has changed.
        """
        if not (self._feed and self._feed.done(name, record)):
            return False
        file = self._station.folder / name
        try:
            if stamp_of(file) == stamp:
                file.unlink()
            self._undeletable.ends("files are deleted again")
        except OSError as exc:
            self._undeletable.begins(f"{file} and more stay: {exc.strerror}")
        return True


def _turn(picture: Picture) -> tuple[int, int]:
    """The oldest first, but after others if it has failed."""
    return picture.tries, picture.stamp.mtime_ns
