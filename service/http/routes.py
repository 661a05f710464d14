"""The gateway's routes: parse, call, answer."""

import asyncio
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from onegauge.schemas import Answer, Decision, ModelCard, Readiness
from onegauge.service.errors import BackendError, Problem, ShuttingDown
from onegauge.service.http.access import ACCESS_PROBLEMS, SCHEME, allow, needs, needs_for_metrics
from onegauge.service.http.admission import Visit
from onegauge.service.http.answers import FORMS, Form, is_heavy, options_for, present, wanted_form
from onegauge.service.http.body import IMAGE_FIELD, MASK_FIELD, read_body
from onegauge.service.http.disconnect import while_connected
from onegauge.service.http.gateway import Gateway, GatewayDep
from onegauge.service.http.options import (
    check_views,
    documented_options,
    read_options,
    read_timeout,
)
from onegauge.service.http.problems import documented, problem_response
from onegauge.service.inspection.inquiry import Inquiry

_BINARY = {"type": "string", "format": "binary"}
_FORM = {
    "type": "object",
    "required": [IMAGE_FIELD],
    # The options are left out: Swagger UI would send them here and in the query, hence twice.
    "properties": {
        IMAGE_FIELD: {"type": "array", "items": _BINARY},
        MASK_FIELD: {**_BINARY, "description": "White where to inspect, in all images"},
    },
}
_BODY = {
    "description": "The options may be form fields instead of query parameters.",
    "required": True,
    "content": {
        "multipart/form-data": {"schema": _FORM},
        **{f"image/{kind}": {"schema": _BINARY} for kind in ("jpeg", "png", "webp", "bmp", "tiff")},
        "application/octet-stream": {"schema": _BINARY},
    },
}
_FORMS: dict[str, Any] = {
    "description": "The answer, in the form that `Accept` asks for",
    "content": {form: {"schema": _BINARY} for form in FORMS if form != "application/json"},
}


inspections = APIRouter()  # whose endpoints take a request and give a response, see Direct
router = APIRouter()


@inspections.post(
    "/v1/inspect",
    operation_id="inspect",
    response_model=Answer,
    responses={200: _FORMS, **documented(Problem)},
    openapi_extra={
        "parameters": documented_options(),
        "requestBody": _BODY,
        "security": [{SCHEME: []}],
    },
)
@inspections.post("/inspect", include_in_schema=False)
async def inspect(request: Request) -> Response:
    """Decide on one image or many: is it like the normal images of any product?"""
    gateway: Gateway = request.app.state.gateway
    await allow(request, "inspect")
    async with gateway.admission.visit(read_timeout(request), request) as visit:
        form = wanted_form(",".join(request.headers.getlist("accept")))
        inquiry = await _read(request, gateway, visit, form)
        async with while_connected(request), gateway.admission.turn():
            answer = await gateway.inspector.inspect(inquiry)
        if is_heavy(answer):
            return await gateway.threads.run(partial(_respond, request, answer, form))
        return _respond(request, answer, form)


async def _read(request: Request, gateway: Gateway, visit: Visit, form: Form) -> Inquiry:
    timing_ms: dict[str, float] = {}
    options = read_options(request)
    with gateway.metrics.stage("read", timing_ms):
        body = await read_body(request, gateway.settings, visit)
    if body.options:
        options = read_options(request, body.options)
    check_views(options, len(body.images))
    options = options_for(form, options, len(body.images))
    request.state.access.update(line=options.line, part=options.part, images=len(body.images))
    return Inquiry(
        body.images,
        options,
        timing_ms,
        visit.deadline,
        lossless=form == "image/png",
        mask=body.mask,
        request_id=request.state.request_id,
        key=request.state.access.get("key"),
    )


def _respond(request: Request, answer: Answer, form: Form) -> Response:
    """The answer, or the first image's problem when no image could be inspected."""
    decided = [result for result in answer.results if isinstance(result, Decision)]
    verdicts = [result.decision for result in decided]
    request.state.access["decisions"] = {v: verdicts.count(v) for v in dict.fromkeys(verdicts)}
    if decided:
        return present(form, answer)
    results = [result.model_dump() for result in answer.results]
    return problem_response(request, {**results[0]["problem"], "results": results})


@router.get(
    "/v1/model",
    responses=documented(*ACCESS_PROBLEMS, BackendError),
    dependencies=[Depends(needs("read"))],
)
@router.get("/model", include_in_schema=False, dependencies=[Depends(needs("read"))])
async def model(gateway: GatewayDep) -> ModelCard:
    """Name, version, sizes, criterion and provenance of the served model."""
    return gateway.model()


@router.post(
    "/v1/model/reload",
    responses=documented(*ACCESS_PROBLEMS, BackendError),
    dependencies=[Depends(needs("admin"))],
)
async def reload(gateway: GatewayDep) -> Readiness:
    """Look for another version at once; Triton is told to read its repository anew."""
    await gateway.versions.reload()
    return await gateway.ready()


@router.get("/v2/health/live", response_class=Response)
async def live() -> Response:
    """The process lives, in the words of the Open Inference Protocol (KServe, Triton)."""
    return Response()


@router.get(
    "/v2/health/ready", response_class=Response, responses=documented(ShuttingDown, BackendError)
)
async def ready(gateway: GatewayDep) -> Response:
    """The model is loaded and the backend answers, in the words of the same protocol."""
    await gateway.ready()
    return Response()


@router.head("/healthz", include_in_schema=False)  # some load balancers ask by HEAD
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses=documented(ShuttingDown, BackendError))
async def readyz(gateway: GatewayDep) -> Readiness:
    """The model is loaded and the backend answers."""
    return await gateway.ready()


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **documented(*ACCESS_PROBLEMS)},
    dependencies=[Depends(needs_for_metrics)],
)
async def metrics(gateway: GatewayDep) -> Response:
    """Prometheus metrics."""
    exposition = await asyncio.to_thread(gateway.metrics.exposition)
    return Response(exposition, media_type=CONTENT_TYPE_LATEST)
