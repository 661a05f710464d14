"""A decision on its way to the database: as it waits, and as it is written or put by."""

from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onegauge.records.previews import mask, small_map
from onegauge.records.record import Part, Record
from onegauge.service.imaging.image import media_type
from onegauge.service.inspection.inquiry import Upload
from onegauge.service.inspection.parts import DecidedPart
from onegauge.service.inspection.taken import Taken


@dataclass(frozen=True)
class Entry:
    """A record, its picture while that is not kept yet, its small map and mask (PNG files).

    Of a part of several views it is the record alone.
    """

    record: Record | Part
    picture: bytes | None = None
    small_map: bytes | None = None
    mask: bytes | None = None

    def bare(self) -> "Entry":
        """The same without picture, map and mask."""
        return Entry(self.record)

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        record = asdict(self.record) | {"time": self.record.time.isoformat()}
        files = {
            name: data and b64encode(data).decode()
            for name, data in vars(self).items()
            if name != "record"
        }
        return {"record": record, **files}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> "Entry":
        """What `to_json` gave; raises ValueError, KeyError or TypeError for anything else."""
        record, *files = (told[name] for name in ("record", "picture", "small_map"))
        files.append(told.get("mask"))  # older versions put none by
        kind = Part if "inspections" in record else Record
        record = kind(**record | {"time": datetime.fromisoformat(record["time"])})
        return cls(record, *(data and b64decode(data) for data in files))


@dataclass(frozen=True)
class Pending:
    """A decision on an image that is to be written: all that costs time is left to `entry`."""

    taken: Taken
    upload: Upload | None = None  # whose picture is to be kept, with the map (h, w) of it
    anomaly_map: NDArray[np.float32] | None = None
    inspected: NDArray[np.bool_] | None = None  # (h, w), where a mask left but a part of it

    @classmethod
    def kept(cls, taken: Taken, upload: Upload) -> "Pending":
        """With the picture and the map, which later inspections of it do not change."""
        assert upload.seen is not None
        return cls(taken, upload, upload.seen.anomaly_map.copy(), upload.seen.inspected)

    @property
    def size(self) -> int:
        """Bytes of the picture and its map."""
        if self.upload is None or self.anomaly_map is None:
            return 0
        return self.upload.size + self.anomaly_map.nbytes

    def entry(self) -> Entry:
        """What is to be written."""
        record = self.taken.whole()
        if self.upload is None or self.anomaly_map is None:
            return Entry(record)
        data = self.upload.read()
        return Entry(
            replace(record, media_type=media_type(data)),
            picture=data,
            small_map=small_map(self.anomaly_map),
            mask=None if self.inspected is None else mask(self.inspected),
        )


@dataclass(frozen=True)
class PendingPart:
    """A decision on a part of several views that is to be written."""

    decided: DecidedPart
    size = 0  # without a picture

    def entry(self) -> Entry:
        """What is to be written."""
        decided, said = self.decided, self.decided.decision
        assert said.decision is not None
        return Entry(
            Part(
                id=decided.id,
                time=decided.time,
                line=decided.line,
                part=said.part,
                views=said.views,
                decision=said.decision,
                score=decided.score,
                unknown_product=decided.unknown_product,
                inspections=said.inspections,
            )
        )
