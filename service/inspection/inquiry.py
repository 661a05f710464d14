"""What one request asks: images as they were sent, how to decide on them, and by when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from onegauge.records.record import Record
from onegauge.schemas import Options
from onegauge.service.errors import ImageTooLarge

SMALL_CHUNK = 4096


@dataclass(frozen=True)
class Seen:
    """What of a decided image no answer tells: its upright size in pixels, its map, its digest."""

    width: int
    height: int
    anomaly_map: NDArray[np.float32]  # (h, w), in score units
    inspected: NDArray[np.bool_] | None = None  # (h, w), where a mask left but a part of it
    digest: bytes = b""  # SHA-256 of a view of a part


@dataclass
class Upload:
    """One image as it was sent; what exceeds `limit` bytes is counted but not kept."""

    filename: str | None
    limit: int
    size: int = 0
    chunks: list[bytes | bytearray] = field(default_factory=list)  # joined where they are read
    seen: Seen | None = None  # once it was decided

    @classmethod
    def of(cls, data: bytes, filename: str | None = None) -> Self:
        """A whole file."""
        return cls(filename, len(data), len(data), [data])

    def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.size += len(chunk)
        if self.size > self.limit:
            self.chunks.clear()
        elif len(chunk) >= SMALL_CHUNK:
            self.chunks.append(chunk)
        else:  # an object of its own for each drop would take far more memory than it holds
            if not (self.chunks and isinstance(self.chunks[-1], bytearray)):
                self.chunks.append(bytearray())
            self.chunks[-1] += chunk

    def read(self) -> bytes:
        """The whole image; raises ImageTooLarge when it did not fit."""
        if self.size > self.limit:
            raise ImageTooLarge(
                f"The image has {self.size} bytes; at most {self.limit} are allowed.",
                limit_bytes=self.limit,
            )
        return b"".join(self.chunks)


@dataclass(frozen=True)
class Inquiry:
    """The images of one request, how it wants them decided, and by when."""

    uploads: Sequence[Upload]
    options: Options
    timing_ms: Mapping[str, float]  # what the request took so far
    deadline: float  # in the event loop's time
    lossless: bool = False  # overlays as PNG instead of JPEG
    mask: Upload | None = None  # of all images
    request_id: str = ""
    key: str | None = None  # the name of the API key that it came with

    @classmethod
    def again(
        cls,
        record: Record,
        data: bytes,
        mask: bytes | None,
        deadline: float,
        *,
        explain: bool = False,
    ) -> Self:
        """A kept image once more: by the criterion that held for it, and the mask if it had one."""
        criterion = {"threshold": record.threshold}
        if record.max_false_alarm_rate is not None:
            criterion = {"max_false_alarm_rate": record.max_false_alarm_rate}
        options = Options.model_validate({"explain": explain, **criterion})
        painted = None if mask is None else Upload.of(mask)
        return cls([Upload.of(data, record.filename)], options, {}, deadline, mask=painted)
