"""What another version decides on the pictures that were kept, beside the one before it.

Both inspect each picture anew, by the criterion that held for it: so what differs is theirs. What
one of them has learnt is left out: beside an image that is one of its references it would find the
image itself.
"""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import get_args

from onegauge.library.errors import LibraryError
from onegauge.library.library import FILE, load
from onegauge.records.errors import PictureGone
from onegauge.records.history import Found, History
from onegauge.records.pictures import Pictures
from onegauge.records.record import Opinion, Record
from onegauge.records.search import Filter
from onegauge.schemas import Decision
from onegauge.service.errors import InvalidOption
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.inspection.inquiry import Inquiry
from onegauge.service.inspection.inspection import Inspection
from onegauge.service.model.backends import load_backend
from onegauge.service.model.model import Model
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads

NEWEST = 1000  # inspections; and as many of each verdict
SHOWN = 60  # ids of each kind of change, the first
TIMEOUT_S = 60.0  # for an image
WITHOUT = "none"  # the word for inspections without a verdict


@dataclass
class Share:
    """How many images there are, and how many of them are anomalous to each of two versions."""

    images: int = 0
    before: int = 0
    after: int = 0


@dataclass
class Effect:
    """What changes from one version to another; lists have ids in the order of `chosen`."""

    before: str
    after: str
    by_verdict: dict[str, Share] = field(default_factory=dict)  # by the words of `kind_of`
    newly_anomalous: list[str] = field(default_factory=list)
    no_longer_anomalous: list[str] = field(default_factory=list)
    changed: list[int] = field(default_factory=lambda: [0, 0])  # how many of both
    learnt: int = 0  # images that one of the versions has learnt itself
    failed: int = 0  # that could not be inspected again

    @property
    def images(self) -> int:
        """How many were compared."""
        return sum(share.images for share in self.by_verdict.values())

    def count(self, found: Found, before: bool, after: bool) -> None:
        """Take an image that is anomalous or not to each of them."""
        share = self.by_verdict.setdefault(kind_of(found), Share())
        share.images += 1
        share.before += before
        share.after += after
        if before != after:
            self.changed[before] += 1
            ids = self.no_longer_anomalous if before else self.newly_anomalous
            if len(ids) < SHOWN:
                ids.append(found.record.id)

    def told(self) -> Iterator[str]:
        """The same in sentences."""
        yield (
            f"{self.images} pictures inspected by versions {self.before} and {self.after}: "
            f"{self.changed[0]} become anomalous, {self.changed[1]} no longer are"
        )
        for kind, share in sorted(self.by_verdict.items()):
            name = "without a verdict" if kind == WITHOUT else kind
            yield f"{name}: {share.images}, anomalous before {share.before}, now {share.after}"
        if self.learnt:
            yield f"{self.learnt} left out, which are among the normal images of a version"
        if self.failed:
            yield f"{self.failed} could not be inspected again"


def kind_of(found: Found) -> str:
    """What a person said of an inspection, "none" for nothing.

    Where a decision was confirmed, "confirmed" is a defect and "confirmed_normal" none.
    """
    if found.verdict == "confirmed" and found.record.decision == "normal":
        return "confirmed_normal"
    return found.verdict or WITHOUT


def settings_for(repository: Path, model: str) -> Settings:
    """Settings to inspect by here, with bounds that no kept picture is beyond."""
    return Settings(
        repository=repository,
        model=model,
        backend="onnx",
        api_keys="off",
        inference_workers=1,
        inference_threads=1,
        max_pixels=2**28,
        max_image_bytes=2**30,
    )


def chosen(history: History, model: str, newest: int = NEWEST) -> list[Found]:
    """The newest kept inspections of a model and those of each verdict, the newest first.

    Those that were confirmed come before: if such a decision changes, it is a loss, and must be
    among the few that are shown.
    """
    ways: list[Filter] = [Filter(model=model, kept=True)]
    ways += [Filter(model=model, kept=True, verdict=verdict) for verdict in get_args(Opinion)]
    found = {one.record.id: one for way in ways for one in islice(history.every(way), newest)}
    newest_first = [found[inspection] for inspection in sorted(found, reverse=True)]
    return sorted(newest_first, key=lambda one: one.verdict != "confirmed")


async def replay(
    settings: Settings,
    found: Iterable[Found],
    history: History,
    pictures: Pictures,
    versions: tuple[str, str],
) -> Effect:
    """Inspect kept pictures by two versions of the model in the settings' repository.

    Holds one picture at a time. Raises BackendError, and RecordsUnavailable.
    """
    before, after = versions
    backend = load_backend(settings)
    await backend.start()
    try:
        both = [await backend.load(await backend.version(number)) for number in versions]
        metrics = Metrics()
        inspection = Inspection(settings, Deployment(settings, metrics), metrics, Threads(1))
        effect = Effect(before, after)
        known = _known(settings, before) | _known(settings, after)
        for one in found:
            if one.record.picture in known:
                effect.learnt += 1
            elif decisions := await _decide(inspection, one.record, history, pictures, both):
                effect.count(one, *decisions)
            else:
                effect.failed += 1
    finally:
        await backend.stop()
    return effect


async def _decide(
    inspection: Inspection,
    record: Record,
    history: History,
    pictures: Pictures,
    models: list[Model],
) -> list[bool]:
    """Whether each version finds a picture anomalous; nothing where it cannot be inspected."""
    try:
        data = await asyncio.to_thread(pictures.read, record.picture or "")
    except PictureGone:
        return []
    mask = await asyncio.to_thread(history.mask, record.id)
    decisions = []
    for model in models:
        deadline = asyncio.get_running_loop().time() + TIMEOUT_S
        try:
            answer = await inspection.answer(Inquiry.again(record, data, mask, deadline), model)
        except InvalidOption:  # a rate that the version does not promise, or no mask for it
            return []
        (said,) = answer.results
        if not isinstance(said, Decision):
            return []
        decisions.append(said.decision == "anomalous")
    return decisions


def _known(settings: Settings, version: str) -> frozenset[str]:
    """The digests of the normal images of a version, none where it keeps no library."""
    try:
        return load(settings.repository / settings.model / version / FILE).known
    except (LibraryError, OSError):
        return frozenset()
