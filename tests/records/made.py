"""Records for tests."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from onegauge.records.record import Part, Record, new_id

FIRST = datetime(2025, 3, 3, 6, tzinfo=UTC)


def record(number: int = 0, **fields: Any) -> Record:
    """The `number`-th, a second after the one before, with some fields as given."""
    time = fields.pop("time", FIRST + timedelta(seconds=number))
    known: dict[str, Any] = {
        "id": new_id(time),
        "time": time,
        "request_id": f"request-{number}",
        "line": "press",
        "part": f"part-{number}",
        "filename": f"{number}.png",
        "model": "onegauge",
        "version": "1",
        "model_digest": "c0ffee",
        "decision": "normal",
        "unknown_product": False,
        "score": 0.25,
        "threshold": 1.0,
        "max_false_alarm_rate": None,
        "p_value": 0.5,
        "novelty": 0.125,
        "raw_score": 3.5,
        "normal_location": 2.0,
        "normal_scale": 0.5,
        "regions": [{"box": [1, 2, 3, 4], "area": 9, "peak": 1.5}],
        "references": [{"id": "aa", "origin": "a.png", "similarity": 0.9}],
        "timing_ms": {"total": 12.5},
        "key": "press-1",
        "width": 96,
        "height": 64,
    }
    return Record(**{**known, **fields})


def decided(pictures: Sequence[Record], **fields: Any) -> Part:
    """What was decided on these pictures of a part together, a second after the last."""
    time = fields.pop("time", pictures[-1].time + timedelta(seconds=1))
    anomalous = any(view.decision == "anomalous" for view in pictures)
    known: dict[str, Any] = {
        "id": new_id(time),
        "time": time,
        "line": pictures[0].line,
        "part": pictures[0].part,
        "views": len(pictures),
        "decision": "anomalous" if anomalous else "normal",
        "score": max(view.score for view in pictures),
        "unknown_product": any(view.unknown_product for view in pictures),
        "inspections": [view.id for view in pictures],
    }
    return Part(**{**known, **fields})
