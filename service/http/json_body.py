"""A small body of JSON, which FastAPI would take in any size and at any pace."""

import asyncio
from typing import Any, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from onegauge.service.errors import BodyTimeout, BodyTooLarge
from onegauge.service.http.options import invalid_option

MAX_BYTES = 16_384

T = TypeVar("T", bound=BaseModel)


async def read_json(request: Request, kind: type[T], within_s: float) -> T:
    """The body as it is to be; raises BodyTooLarge, BodyTimeout and InvalidOption."""
    data = bytearray()
    try:
        async with asyncio.timeout(within_s):
            async for chunk in request.stream():
                data += chunk
                if len(data) > MAX_BYTES:
                    told = f"The body has more than {MAX_BYTES} bytes."
                    raise BodyTooLarge(told, limit_bytes=MAX_BYTES)
    except TimeoutError as exc:
        raise BodyTimeout(f"The body took longer than {within_s:g} s.") from exc
    try:
        return kind.model_validate_json(bytes(data), strict=True)  # else true is 1 as well
    except ValidationError as exc:
        raise invalid_option(exc) from exc


def documented_body(kind: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of an operation with such a body."""
    content = {"application/json": {"schema": kind.model_json_schema()}}
    return {"requestBody": {"required": True, "content": content}}
