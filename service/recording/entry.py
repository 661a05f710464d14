"""An answer on its way to the database: as it was taken, and as it is written or put by."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onegauge.records.previews import small_map
from onegauge.records.record import Record, new_id
from onegauge.schemas import Decision, ReferenceAnswer, RegionAnswer
from onegauge.service.imaging.image import media_type
from onegauge.service.inspection.inquiry import Inquiry, Upload
from onegauge.service.model.contract import Contract


@dataclass(frozen=True)
class Entry:
    """A record, the picture to keep with it while that is not kept yet, and a small map (PNG)."""

    record: Record
    picture: bytes | None = None
    small_map: bytes | None = None

    def bare(self) -> "Entry":
        """The same without picture and map."""
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
        record = Record(**record | {"time": datetime.fromisoformat(record["time"])})
        return cls(record, *(data and b64decode(data) for data in files))


@dataclass(frozen=True)
class Taken:
    """An answer as the event loop takes it: all that costs time is left to `entry`."""

    record: Record  # without regions and references
    regions: Sequence[RegionAnswer]
    references: Sequence[ReferenceAnswer]
    upload: Upload | None = None  # whose picture is to be kept, with the map (h, w) of it
    anomaly_map: NDArray[np.float32] | None = None

    @classmethod
    def of(
        cls, inquiry: Inquiry, upload: Upload, said: Decision, contract: Contract, time: datetime
    ) -> "Taken":
        """What was answered for one of the images of an inquiry, whose picture is not kept."""
        seen = upload.seen
        assert seen is not None
        record = Record(
            id=new_id(time),
            time=time,
            request_id=inquiry.request_id,
            line=inquiry.options.line,
            part=inquiry.options.part,
            filename=said.filename,
            model=contract.name,
            version=contract.version,
            model_digest=contract.parameters.get("model_digest"),
            decision=said.decision,
            unknown_product=said.unknown_product,
            score=said.score,
            threshold=said.threshold,
            max_false_alarm_rate=said.max_false_alarm_rate,
            p_value=said.p_value,
            novelty=said.novelty,
            raw_score=said.raw_score,
            normal_location=said.normal.location,
            normal_scale=said.normal.scale,
            regions=[],
            references=[],
            timing_ms=said.timing_ms,
            key=inquiry.key,
            width=seen.width,
            height=seen.height,
        )
        references = said.explanation.references if said.explanation else ()
        return cls(record, said.regions, references)

    @property
    def size(self) -> int:
        """Bytes of the picture and its map."""
        if self.upload is None or self.anomaly_map is None:
            return 0
        return self.upload.size + self.anomaly_map.nbytes

    def kept(self, upload: Upload) -> "Taken":
        """The same with the picture and the map, which later inspections of it do not change."""
        assert upload.seen is not None
        return replace(self, upload=upload, anomaly_map=upload.seen.anomaly_map.copy())

    def entry(self) -> Entry:
        """What is to be written."""
        record = replace(
            self.record,
            regions=[region.model_dump(mode="json") for region in self.regions],
            references=[reference.model_dump(mode="json") for reference in self.references],
        )
        if self.upload is None or self.anomaly_map is None:
            return Entry(record)
        data = self.upload.read()
        return Entry(
            replace(record, media_type=media_type(data)),
            picture=data,
            small_map=small_map(self.anomaly_map),
        )
