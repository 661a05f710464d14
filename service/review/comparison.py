"""The normal images beside a picture that was kept, by the version that is served now."""

from collections.abc import Sequence
from dataclasses import dataclass

from onegauge.records.record import Record
from onegauge.schemas import Box, Decision
from onegauge.service.errors import UnreadableImage
from onegauge.service.http.gateway import Gateway
from onegauge.service.inspection.explainer import Explainer
from onegauge.service.inspection.inquiry import Inquiry

REFERENCES = 3  # shown beside a picture
REGIONS = 6
CONTEXT = 2.0  # what is shown around a region, by its longer side
LEAST = 0.15  # of the picture's longer side, which a thumbnail can still show


@dataclass(frozen=True)
class Pair:
    """A region of a picture, and the place in a normal image that is most like it.

    A view is x, y, width, height in the pixels of its image; both show as much of a picture.
    """

    peak: float
    view: tuple[float, ...]
    reference: str
    size: tuple[int, int]  # of the normal image
    normal_view: tuple[float, ...]


async def look_again(
    gateway: Gateway, record: Record, data: bytes, mask: bytes | None
) -> tuple[Decision, str]:
    """What the version that is served says of a kept upload, and which version that is.

    Raises Problem, also where it cannot explain.
    """
    async with gateway.admission.visit(None) as visit:
        visit.hold(len(data))
        async with gateway.admission.turn():
            inquiry = Inquiry.again(record, data, mask, visit.deadline, explain=True)
            answer = await gateway.inspector.explain(inquiry)
    (result,) = answer.results
    if not isinstance(result, Decision):  # the bounds of images may have been lowered
        raise UnreadableImage(result.problem.detail)
    return result, answer.model.version


def pairs_of(record: Record, decision: Decision, explainer: Explainer) -> Sequence[Pair]:
    """The regions that speak loudest, each beside what is normal there."""
    regions = sorted(decision.regions, key=lambda region: -region.peak)[:REGIONS]
    told = [(region, region.normal) for region in regions if region.normal]
    pairs = []
    for region, normal in told:
        found = explainer.reference(normal.reference)
        if found:
            size, side = (record.width, record.height), _side(region.box, record)
            share = side / max(size)
            origin_size = found[0].width, found[0].height
            pairs.append(
                Pair(
                    peak=region.peak,
                    view=_view(region.box, side, size),
                    reference=normal.reference,
                    size=origin_size,
                    normal_view=_view(normal.box, share * max(origin_size), origin_size),
                )
            )
    return pairs


def _side(box: Box, record: Record) -> float:
    """How much of a picture is shown around a region, in its pixels."""
    longest = max(record.width, record.height)
    return min(max(CONTEXT * max(box[2:]), LEAST * longest), longest)


def _view(box: Box, side: float, size: tuple[int, int]) -> tuple[float, ...]:
    """A square around the middle of a box, moved into the picture where it can be."""
    starts = (
        max(0.0, min(first + length / 2 - side / 2, whole - side))
        for first, length, whole in zip(box[:2], box[2:], size, strict=True)
    )
    return tuple(round(value, 1) for value in (*starts, side, side))
