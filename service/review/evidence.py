"""One inspection as it is printed: what is told of it, line by line."""

from onegauge.records.record import Part, Record
from onegauge.service.review.languages import Language


def rows_of(
    record: Record, part: Part | None, language: Language, when: str
) -> list[tuple[str, str]]:
    """What is told, as names and texts; `when` is its time in words."""
    number, small, threshold = language.number, language.small, record.threshold
    rate, regions = record.max_false_alarm_rate, record.regions
    told = {
        "print.part": record.part,
        "print.whole_part": part and _decided(part, language),
        "print.line": record.line,
        "print.time": when,
        "facts.file": record.filename,
        "print.file_digest": record.picture,
        "facts.size": f"{record.width} × {record.height}",
        "print.score": number(record.score, 4),
        "print.threshold": None if threshold is None else number(threshold, 4),
        "print.rate": None if rate is None else small(rate),
        "facts.p_value": small(record.p_value),
        "facts.novelty": number(record.novelty, 4),
        "print.regions": "; ".join(_region(region["box"]) for region in regions),
        "facts.model": f"{record.model} {record.version}",
        "print.digest": record.model_digest,
        "facts.inspection": record.id,
        "print.request": record.request_id,
    }
    return [(language.say(name), text) for name, text in told.items() if text]


def _decided(part: Part, language: Language) -> str:
    count, seen = language.count, len(part.inspections)
    views = language.say("part.views", seen=count(seen), views=count(part.views))
    return f"{language.say(f'decision.{part.decision}')}, {views}"


def _region(box: list[int]) -> str:
    x, y, width, height = box
    return f"{width} × {height} + {x} + {y}"
