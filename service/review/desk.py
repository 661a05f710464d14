"""What lies before somebody who reviews: the inspections that were found, and one of them."""

from dataclasses import dataclass
from datetime import tzinfo

from onegauge.records.history import Entry, Found, History, Page
from onegauge.records.record import Part
from onegauge.records.search import Filter
from onegauge.service.review.search import Search
from onegauge.service.review.visitor import HOME

VIEWS = 12  # other pictures of the same part


@dataclass(frozen=True)
class Desk:
    """A page of the list, and the inspection that is looked at, None where nothing was found."""

    search: Search
    page: Page
    lines: list[str]
    entry: Entry | None = None
    views: tuple[Found, ...] = ()  # others of the same part; all of it, where that was decided on
    part: Part | None = None  # what was decided on its views together
    previous: str | None = None
    next: str | None = None

    def address(self, inspection: str, **changes: str | None) -> str:
        """Of another inspection, with the page of the list that it is on."""
        after = self.search.after
        if inspection not in {found.record.id for found in (*self.page.found, *self.views)}:
            after = self.page.next if inspection == self.next else None
        return self.search.address(f"{HOME}/{inspection}", **{"after": after, **changes})

    @property
    def current(self) -> str | None:
        """The inspection of the list that is shown, or that stands for it."""
        assert self.entry is not None
        own = self.entry.record.id, *(self.part.inspections if self.part else ())
        listed = {found.record.id for found in self.page.found}
        return next((inspection for inspection in own if inspection in listed), None)

    @property
    def telling(self) -> str:
        """A view that a part has its decision of: what is said of the part is said of it, too."""
        assert self.entry is not None
        assert self.part is not None
        views = self.entry.record, *(view.record for view in self.views)
        found = (view.id for view in views if view.decision == self.part.decision)
        return next(found, self.entry.record.id)

    @property
    def ahead(self) -> str | None:
        """The next inspection, if its picture is there to be fetched in advance."""
        kept = [found.record.id for found in self.page.found if found.record.picture]
        return self.next if self.next in kept else None

    @property
    def further(self) -> str | None:
        """The address of the list's next page."""
        return self.search.address(HOME, after=self.page.next) if self.page.next else None


def lay_out(history: History, search: Search, zone: tzinfo, inspection: str | None) -> Desk:
    """Find what is looked for, and show one: the first where none is named.

    Raises UnknownInspection, InvalidCursor and RecordsUnavailable.
    """
    which = search.filter(zone)
    page = history.find(which, order=search.order, after=search.after)
    lines = history.tally.lines()
    if inspection is None:
        if not page.found:
            return Desk(search, page, lines)
        inspection = page.found[0].record.id
    entry = history.get(inspection)
    part = history.part_of(entry.record)
    if part is not None and part.views == 1:
        part = None
    views = tuple(history.views(part)) if part else views_of(history, entry)
    own = part.inspections if part else ()
    around = history.around(inspection, which, order=search.order, but=own)
    return Desk(search, page, lines, entry, views, part, around.previous, around.next)


def views_of(history: History, entry: Entry) -> tuple[Found, ...]:
    """The newest other inspections of the same part."""
    if entry.record.part is None:
        return ()
    found = history.find(Filter(part=entry.record.part), limit=VIEWS + 1).found
    return tuple(view for view in found if view.record.id != entry.record.id)[:VIEWS]
