"""Where on a broker an event is, whatever its line is called."""

from unicodedata import category
from urllib.parse import quote

from onegauge.schemas import NO_LINE
from onegauge.service.sinks.event import INSPECTION, PART, Event

LEAVES = {INSPECTION: "inspection", PART: "part"}
_NO_TEXT = frozenset({"Cc", "Cn"})  # controls and what is no character: brokers hang up on them


class Topics:
    """The names below a root; their last levels differ, so that none of a line is a gateway's."""

    def __init__(self, root: str, gateway: str) -> None:
        self._root = root
        self.status = f"{root}/{_level(gateway)}/status"

    def of(self, event: Event) -> str:
        """Where an event is published."""
        return f"{self._root}/{_level(event.line or NO_LINE)}/{LEAVES[event.type]}"

    def last(self, event: Event) -> str:
        """Where the last one of its line can be read at any time."""
        return f"{self._root}/{_level(event.line or NO_LINE)}/last"


def _level(name: str) -> str:
    """A name as one level of a topic."""
    return "".join(
        quote(sign, safe="") if sign in "%/+#" or category(sign) in _NO_TEXT else sign
        for sign in name
    )
