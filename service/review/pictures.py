"""What the page shows: made anew of what was uploaded, never the upload itself."""

from io import BytesIO

import numpy as np
from fastapi import APIRouter, Response
from PIL import Image

from onegauge.service.errors import UnknownReference
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.inspection.anomaly_map import layer
from onegauge.service.recording.records import Records
from onegauge.service.review.doors import Inspection, RecordsDep, VisitorDep
from onegauge.service.review.pages import PageRoute
from onegauge.service.review.visitor import HOME

KEPT_S = 3600  # in the browser of who looks: a picture of an id never changes

router = APIRouter(prefix=HOME, route_class=PageRoute, include_in_schema=False)


@router.get("/{inspection}/picture")
async def picture(
    gateway: GatewayDep, records: RecordsDep, _visitor: VisitorDep, inspection: Inspection
) -> Response:
    """The picture as a JPEG, upright."""
    depth = gateway.depth
    data = await records.ask_of_one(lambda records: records.picture(inspection, depth))
    return _image(data)


@router.get("/{inspection}/thumbnail")
async def thumbnail(
    gateway: GatewayDep, records: RecordsDep, _visitor: VisitorDep, inspection: Inspection
) -> Response:
    """The picture, small."""
    depth = gateway.depth
    data = await records.ask_of_one(lambda records: records.thumbnail(inspection, depth))
    return _image(data)


@router.get("/{inspection}/layer")
async def map_layer(records: RecordsDep, _visitor: VisitorDep, inspection: Inspection) -> Response:
    """What colours the picture where it is unlike normal ones."""

    def coloured(records: Records) -> bytes:
        small = Image.open(BytesIO(records.small_map(inspection)), formats=["PNG"])
        return layer(np.asarray(small))

    return _image(await records.ask_of_one(coloured), "image/png")


@router.get("/references/{reference}/thumbnail")
async def reference(gateway: GatewayDep, _visitor: VisitorDep, reference: str) -> Response:
    """A normal image that the served version compares with, small."""
    explainer = await gateway.inspector.explainer()
    found = explainer.reference(reference)
    if found is None:
        raise UnknownReference(f"The version that is served has no normal image {reference!r}.")
    return _image(found[1])


def _image(data: bytes, media_type: str = "image/jpeg") -> Response:
    headers = {"Cache-Control": f"private, max-age={KEPT_S}", "Content-Disposition": "inline"}
    return Response(data, media_type=media_type, headers=headers)
