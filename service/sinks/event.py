"""A decision as a CloudEvent 1.0."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from pydantic_core import to_json

from onegauge.service.inspection.parts import DecidedPart
from onegauge.service.inspection.taken import Taken

INSPECTION, PART = "onegauge.inspection", "onegauge.part"
_TOLD = (
    *("line", "part", "filename", "decision", "unknown_product", "score", "threshold"),
    *("max_false_alarm_rate", "p_value", "novelty", "width", "height", "request_id"),
)
MAX_REGIONS = 50  # the highest peaks: a map full of noise is no reason for megabytes


@dataclass(frozen=True)
class Event:
    """What was decided on an image, or on a part; `id` is that of the inspection, or of the part.

    An event may arrive twice, by the same id.
    """

    id: str
    type: str
    source: str  # of the gateway, as /onegauge/NAME
    time: datetime  # of the decision
    data: dict[str, Any]

    @classmethod
    def of(cls, taken: Taken, source: str) -> "Event":
        """The event of an inspection."""
        record = taken.record
        told = {name: getattr(record, name) for name in _TOLD}
        regions = [
            {"box": region.box, "area": region.area, "peak": region.peak, "mean": region.mean}
            for region in taken.regions[:MAX_REGIONS]
        ]
        data = {
            "inspection": record.id,
            "model": {"name": record.model, "version": record.version},
            **told,
            "views": taken.views,
            "regions": regions,
        }
        return cls(record.id, INSPECTION, source, record.time, data)

    @classmethod
    def of_part(cls, part: DecidedPart, source: str) -> "Event":
        """The event of a part of several views."""
        data = {
            "line": part.line,
            **part.decision.model_dump(),
            "unknown_product": part.unknown_product,
            "score": part.score,
        }
        return cls(part.id, PART, source, part.time, data)

    @property
    def line(self) -> str | None:
        """The line, if one was named."""
        line: str | None = self.data["line"]
        return line

    def to_json(self) -> bytes:
        """The CloudEvent in structured mode."""
        return self._json

    @cached_property
    def _json(self) -> bytes:  # once for all sinks
        subject = self.data.get("part") or self.data.get("filename")
        return to_json(
            {
                "specversion": "1.0",
                "id": self.id,
                "source": self.source,
                "type": self.type,
                "time": self.time.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
                **({"subject": _printable(subject)} if subject else {}),
                **({"line": _printable(self.line)} if self.line else {}),
                "datacontenttype": "application/json",
                "data": self.data,
            },
            inf_nan_mode="null",
        )

    def told(self) -> dict[str, Any]:
        """As JSON has it on disk."""
        return {**{name: vars(self)[name] for name in _NAMES}, "time": self.time.isoformat()}

    @classmethod
    def from_told(cls, told: dict[str, Any]) -> "Event":
        """What `told` gave; raises ValueError, KeyError or TypeError for anything else."""
        values = {name: told[name] for name in _NAMES}
        return cls(**values | {"time": datetime.fromisoformat(told["time"])})


_NAMES = tuple(Event.__dataclass_fields__)


def _printable(text: str) -> str:
    """As an attribute of a CloudEvent may be: without control characters."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)
