"""A decision as the event loop hands it to those who make something more of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from onegauge.records.record import Record, new_id
from onegauge.schemas import Decision, ReferenceAnswer, RegionAnswer
from onegauge.service.inspection.inquiry import Inquiry, Upload
from onegauge.service.inspection.parts import DecidedPart
from onegauge.service.model.contract import Contract


@dataclass(frozen=True)
class Taken:
    """What was answered for an image; `whole` has what takes time to write down."""

    record: Record  # without regions and references
    regions: Sequence[RegionAnswer]
    references: Sequence[ReferenceAnswer]
    views: int | None = None  # of its part that are decided on together

    @classmethod
    def of(
        cls, inquiry: Inquiry, upload: Upload, said: Decision, contract: Contract, time: datetime
    ) -> "Taken":
        """What was answered for one of the images of an inquiry, with a new id."""
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
        return cls(record, said.regions, references, inquiry.options.views)

    def whole(self) -> Record:
        """The record with its regions and references."""
        return replace(
            self.record,
            regions=[region.model_dump(mode="json") for region in self.regions],
            references=[reference.model_dump(mode="json") for reference in self.references],
        )


class Taker(Protocol):
    """Somebody who is told of each decision: records, sinks."""

    def take(self, taken: Taken, upload: Upload) -> None:
        """Take a decision, and what it is of. On the event loop, so that it must not wait."""

    def take_part(self, part: DecidedPart, /) -> None:
        """Take what was decided of the views of a part, each of which was taken before."""
