"""Structured logs on standard error: one line a record, as text or as JSON."""

import json
import logging
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from onegauge.service.errors import for_clients

_SERVICE = Path(__file__).parents[1]


class JsonFormatter(logging.Formatter):
    """A record and its `fields` as one JSON object."""

    def format(self, record: logging.LogRecord) -> str:
        """Render the record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = cause(record.exc_info[1])
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """Time, level, message and `fields` as key=value for people; values are quoted as JSON."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Append the fields to the message."""
        fields = getattr(record, "fields", {})
        values = (f"{key}={_told(value)}" for key, value in fields.items())
        return " ".join([super().formatMessage(record), *values])

    def formatException(self, exc_info: Any) -> str:
        """The cause on one line, as in JSON."""
        return json.dumps(cause(exc_info[1]))


def _told(value: object) -> str:
    """As JSON, with letters of any script as they are, but for what would disturb a terminal."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)


def cause(error: BaseException) -> str:
    """An exception, its notes, and where in our own modules it came from, the innermost first.

    A log leaves the server for others to read: it has no paths of it, and no foreign frames.
    """
    frames = traceback.extract_tb(error.__traceback__)
    ours = [
        f"{Path(frame.filename).stem}.{frame.name}:{frame.lineno}"
        for frame in reversed(frames)
        if Path(frame.filename).is_relative_to(_SERVICE)
    ]
    told = [f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]
    return for_clients("; ".join(told)) + (f" in {' < '.join(ours)}" if ours else "")


def configure_logs(log_format: Literal["text", "json"], level: str) -> None:
    """Send all records of the process, the server's included, through one handler."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # the client is told, not the log
    logging.getLogger("alembic").setLevel(logging.WARNING)  # the database tells what it changed
    logging.getLogger("httpx").setLevel(logging.WARNING)  # which tells of each event of a webhook
