"""Where on a broker an event is, whatever its line is called."""

from unicodedata import category
from urllib.parse import quote

from onegauge.service.sinks.event import INSPECTION, PART, Event

LEAVES = {INSPECTION: "inspection", PART: "part"}
NO_LINE = "-"
_NO_TEXT = frozenset({"Cc", "Cn"})  # controls and what is no character: brokers hang up on them


class Topics:
    """The names below a root; their last levels differ, so that none of a line is a gateway's."""

    def __init__(self, root: str, gateway: str) -> None:
        self._root = root
        self.status = f"{root}/{_level(gateway)}/status"

    def of(self, event: Event) -> str:
        """Where an event is published."""
        return f"{self._root}/{_of_line(event.line)}/{LEAVES[event.type]}"

    def last(self, event: Event) -> str:
        """Where the last one of its line can be read at any time."""
        return f"{self._root}/{_of_line(event.line)}/last"


def _of_line(line: str | None) -> str:
    """The level of a line; one that is really called `-` is not one without a name."""
    if not line:
        return NO_LINE
    return "%2D" if line == NO_LINE else _level(line)


def _level(name: str) -> str:
    """A name as one level of a topic."""
    return "".join(
        quote(sign, safe="") if sign in "%/+#" or category(sign) in _NO_TEXT else sign
        for sign in name
    )
