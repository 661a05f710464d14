"""The folder of frames: files that are whole at once, told by their names, and not too many.

A name is `4711@20261130T160801.123456Z.jpg`, without `4711@` where no part is known. A frame that
is not worth to be inspected has its problem before the suffix: `.blurred-0.31.jpg`. So all that is
known of a frame is still known after a crash.
"""

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from onegauge.camera.quality import DETAILS, Fault

NAME = re.compile(
    r"(?:(?P<part>[^@]+)@)?\d{8}T\d{6}\.\d{6}Z"
    rf"(?:\.(?P<problem>{'|'.join(DETAILS)})-(?P<value>[\d.]+))?\.(?:jpg|png)"
)
DRAFT = ".frame"  # hidden, so that nobody takes it for a frame
LONGEST = 180  # bytes of a part in a name


class Frames:
    """The folder: the camera's thread puts frames in, the one that watches it says what is done."""

    def __init__(
        self,
        folder: Path,
        most: int,
        *,
        keep: bool = False,
        views: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """`views` are the options that each frame of a part is inspected with."""
        self._folder = folder
        self._most = most
        self._keep = keep
        self._views = views
        self._waiting: set[str] = set()
        self._again: set[str] = set()  # with the problem of the frame before
        self._last_problem: str | None = None
        self.ended = Event()  # no more frames are put in

    def begin(self, backlog: set[str]) -> None:
        """Count what waits already, and remove what a crash has left half written."""
        self._waiting |= backlog
        for draft in self._folder.glob(f"{DRAFT}*"):
            with suppress(OSError):
                draft.unlink()

    def count(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def is_full(self) -> bool:
        """Whether as many wait as may."""
        if len(self._waiting) < self._most:
            return False
        gone = {name for name in tuple(self._waiting) if not (self._folder / name).exists()}
        self._waiting -= gone
        return len(self._waiting) >= self._most

    def put(self, data: bytes, suffix: str, part: str | None, fault: Fault | None) -> None:
        """Write a frame that was taken now; raises OSError."""
        name = f"{_quoted(part)}@" if part else ""
        name += datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        name += f".{fault.problem}-{round(fault.value, 2):g}{suffix}" if fault else suffix
        if fault and fault.problem == self._last_problem:
            self._again.add(name)
        self._waiting.add(name)  # before it is there, since it may be done at once
        draft = self._folder / f"{DRAFT}{suffix}"
        try:
            draft.write_bytes(data)
            os.replace(draft, self._folder / name)
        except OSError:
            self._waiting.discard(name)
            self._again.discard(name)
            with suppress(OSError):
                draft.unlink()
            raise
        self._last_problem = fault.problem if fault else None

    def asked_of(self, name: str) -> dict[str, Any]:
        """The part in the name of a file, and what is known of its views."""
        found = NAME.fullmatch(name)
        if not found or not found["part"]:
            return {}
        return {"part": unquote(found["part"]), **self._views}

    def problem_of(self, name: str) -> dict[str, Any] | None:
        """What goes on record of a frame that is not worth to be inspected."""
        found = NAME.fullmatch(name)
        if not found or not found["problem"]:
            return None
        problem, value = found["problem"], found["value"]
        return {"problem": problem, "detail": DETAILS[problem].format(value)}

    def done(self, name: str, record: dict[str, Any]) -> bool:
        """Take note of what is on record; whether a frame may go: it is normal, or one of many.

        Of frames with the same problem, one after the other, the first is enough. Other files stay.
        """
        if record.get("retry"):
            return False
        self._waiting.discard(name)
        is_again = name in self._again
        self._again.discard(name)
        is_normal = record.get("decision") == "normal" and NAME.fullmatch(name) is not None
        return not self._keep and (is_again or is_normal)

    def is_over(self) -> bool:
        """Whether the camera has ended, and all of its frames are done."""
        return self.ended.is_set() and not self._waiting


def has_name(part: str) -> bool:
    """Whether a part can be told by the name of a file."""
    return len(os.fsencode(_quoted(part))) <= LONGEST


def _quoted(part: str) -> str:
    """As `unquote` reads it: letters of all languages stay, and no name begins with a dot."""

    def escaped(found: re.Match[str]) -> str:
        return "".join(f"%{byte:02X}" for byte in found[0].encode())

    return re.sub(r"[^\w.-]|^\.", escaped, part)
