"""DetectAnomalies of Amazon Lookout for Vision, which closed on 31 October 2025.

Its clients work when they are given this gateway as their endpoint: any project and any model
version is answered by the model that is served, the project as the line of metrics and logs. Where
the gateway asks for API keys, one is the session token of the client's AWS credentials, whose
signature is not looked at.

Source: AWS, "Amazon Lookout for Vision API Reference", DetectAnomalies and DetectAnomalyResult.
"""

from base64 import b64encode
from functools import partial
from http import HTTPStatus
from io import BytesIO
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from pydantic import BaseModel

from onegauge.schemas import LINE_MAX_LENGTH, Decision, Options, Rejection
from onegauge.service.errors import InvalidOption, MissingImage, Problem
from onegauge.service.http.body import read_body
from onegauge.service.http.disconnect import while_connected
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.http.problems import documented
from onegauge.service.inspection.anomaly_map import strips
from onegauge.service.inspection.inquiry import Inquiry

BACKGROUND, ANOMALY = "#FFFFFF", "#F35353"  # of the mask

# The exception that a client of AWS raises, and the status that it expects with it.
_ERRORS = {
    HTTPStatus.UNAUTHORIZED: ("AccessDeniedException", 403),
    HTTPStatus.FORBIDDEN: ("AccessDeniedException", 403),
    HTTPStatus.TOO_MANY_REQUESTS: ("ThrottlingException", 429),
    HTTPStatus.SERVICE_UNAVAILABLE: ("ThrottlingException", 429),
    HTTPStatus.BAD_GATEWAY: ("InternalServerException", 500),
    HTTPStatus.GATEWAY_TIMEOUT: ("InternalServerException", 500),
}
_IMAGE = {"schema": {"type": "string", "format": "binary"}}


class PixelAnomaly(BaseModel):
    """Share of the picture, 0 to 1, and the colour in the mask."""

    TotalPercentageArea: float
    Color: str


class Anomaly(BaseModel):
    """A kind of pixels; `background` is all that is normal."""

    Name: str
    PixelAnomaly: PixelAnomaly


class ImageSource(BaseModel):
    """The image came with the request."""

    Type: str = "direct"


class DetectAnomalyResult(BaseModel):
    """What the service said of an image, in its own names."""

    Source: ImageSource
    IsAnomalous: bool
    Confidence: float
    Anomalies: list[Anomaly]
    AnomalyMask: str  # base64 of a PNG


class DetectAnomaliesResponse(BaseModel):
    """The service's answer."""

    DetectAnomalyResult: DetectAnomalyResult


router = APIRouter()


def _documented() -> dict[int | str, dict[str, Any]]:
    """What OpenAPI says of the errors."""
    schema = {"type": "object", "properties": {"Message": {"type": "string"}}}
    content = {"application/json": {"schema": schema}}
    described = {code: name for name, code in (*_ERRORS.values(), ("ValidationException", 400))}
    return {code: {"description": name, "content": content} for code, name in described.items()}


@router.post(
    "/2020-11-20/projects/{project}/models/{version}/detect",
    response_model=DetectAnomaliesResponse,
    responses={**_documented(), **documented(InvalidOption)},
    openapi_extra={
        "requestBody": {"required": True, "content": {"image/jpeg": _IMAGE, "image/png": _IMAGE}}
    },
)
async def detect_anomalies(
    request: Request,
    gateway: GatewayDep,
    project: Annotated[str, Path(max_length=LINE_MAX_LENGTH)],
    version: Annotated[str, Path(description="Of the project's model; the served one answers")],  # noqa: ARG001
    token: Annotated[str | None, Header(alias="X-Amz-Security-Token")] = None,
) -> Response:
    """Decide on one image in the words of Amazon Lookout for Vision."""
    try:
        if (key := gateway.access.check(token, "inspect")) is not None:
            request.state.access["key"] = key
        async with gateway.admission.visit(None, request) as visit:
            body = await read_body(request, gateway.settings, visit)
            options = Options(line=project, map="mask")
            request.state.access.update(line=options.line, images=len(body.images))
            if len(body.images) != 1:
                raise MissingImage(f"Send one image, not {len(body.images)}.")
            inquiry = Inquiry(
                body.images,
                options,
                {},
                visit.deadline,
                request_id=request.state.request_id,
                key=key,
            )
            async with while_connected(request), gateway.admission.turn():
                (result,) = (await gateway.inspector.inspect(inquiry)).results
    except Problem as problem:
        gateway.metrics.rejected(problem.reason)
        return _error(problem.status, problem.detail)
    if isinstance(result, Rejection):
        return _error(result.problem.status, result.problem.detail)
    request.state.access["decisions"] = {result.decision: 1}
    content = await gateway.threads.run(partial(_content, result))
    return Response(content, media_type="application/json")


def _content(decision: Decision) -> bytes:
    answer = DetectAnomaliesResponse(DetectAnomalyResult=_result(decision))
    return answer.model_dump_json().encode()


def _result(decision: Decision) -> DetectAnomalyResult:
    assert decision.anomaly_map is not None
    mask = Image.open(BytesIO(decision.anomaly_map.content), formats=["PNG"])
    share = mask.histogram()[255] / (mask.width * mask.height)
    anomalies = [_anomaly("background", 1 - share, BACKGROUND)]
    if decision.decision == "anomalous":
        anomalies.append(_anomaly("anomaly", share, ANOMALY))
    return DetectAnomalyResult(
        Source=ImageSource(),
        IsAnomalous=decision.decision == "anomalous",
        Confidence=_confidence(decision),
        Anomalies=anomalies,
        AnomalyMask=b64encode(_coloured(mask)).decode(),
    )


def _anomaly(name: str, share: float, colour: str) -> Anomaly:
    return Anomaly(Name=name, PixelAnomaly=PixelAnomaly(TotalPercentageArea=share, Color=colour))


def _confidence(decision: Decision) -> float:
    """From 0.5 at the threshold to 1: how far the score is from it, as a ratio."""
    threshold = decision.threshold if decision.threshold is not None else 1.0
    ratio = max(decision.score, 0.0) / max(threshold, 1e-6)
    confidence = ratio / (1 + ratio) if decision.decision == "anomalous" else 1 / (1 + ratio)
    return max(0.5, confidence)


def _coloured(mask: Image.Image) -> bytes:
    """The mask in the colours of the answer, as a PNG."""
    colours = [int(ANOMALY[i : i + 2], 16) for i in (1, 3, 5)]
    tables = [[255] * 255 + [level] for level in colours]
    file, coloured = BytesIO(), Image.new("RGB", mask.size)
    for place, part in strips(mask):
        coloured.paste(Image.merge("RGB", [part.point(table) for table in tables]), place)
    coloured.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _error(status: int, message: str) -> Response:
    name, code = _ERRORS.get(HTTPStatus(status), ("ValidationException", 400))
    return JSONResponse({"Message": message}, code, {"x-amzn-ErrorType": name})
