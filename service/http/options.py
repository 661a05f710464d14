"""The options of a request: from its query, its form and its header, and what OpenAPI says of them.

Read here and not by FastAPI, which finds out anew for every request what a route's parameters are.
"""

from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, TypeAdapter, ValidationError

from onegauge.schemas import Options
from onegauge.service.errors import InvalidOption
from onegauge.service.http.names import text_of

TIMEOUT_HEADER = "Request-Timeout"
_SECONDS = Field(
    ge=0.001, allow_inf_nan=False, description="Seconds that the answer is worth waiting for"
)
_TIMEOUT = TypeAdapter[float](Annotated[float, _SECONDS])


def read_options(request: Request, form: Mapping[str, str] | None = None) -> Options:
    """Options from the request's query and from form fields; raises InvalidOption."""
    return _options(request.scope["query_string"], tuple((form or {}).items()))


@lru_cache(maxsize=64)  # a line asks the same again and again
def _options(query: bytes, form: tuple[tuple[str, str], ...]) -> Options:
    given = [*_queried(query), *form]
    if twice := [name for name, count in Counter(name for name, _ in given).items() if count > 1]:
        raise InvalidOption(f"Given more than once: {', '.join(twice)}.")
    try:
        return Options.model_validate(dict(given))
    except ValidationError as exc:
        raise invalid_option(exc) from exc


def _queried(query: bytes) -> list[tuple[str, str]]:
    """Names and values of a query, in UTF-8 or latin-1."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    return [(name, text_of(value.encode("latin-1"))) for name, value in pairs]


def check_views(options: Options, images: int) -> None:
    """Raise InvalidOption where a request has more images than it may bring views."""
    if options.views is not None and images > options.views:
        raise InvalidOption(f"views={options.views} is fewer than the {images} images sent.")
    if options.view is not None and images > 1:
        raise InvalidOption(f"view={options.view} names one image, and {images} were sent.")


def read_timeout(request: Request) -> float | None:
    """Seconds that the client will wait for its answer; raises InvalidOption."""
    given = request.headers.get(TIMEOUT_HEADER)
    try:
        return None if given is None else _TIMEOUT.validate_python(given)
    except ValidationError as exc:
        raise InvalidOption(f"{TIMEOUT_HEADER}: {exc.errors()[0]['msg']}") from exc


def documented_options() -> list[dict[str, Any]]:
    """The options as parameters of an operation of OpenAPI."""
    queried = Options.model_json_schema()["properties"]
    return [
        *(_parameter(name, "query", schema) for name, schema in queried.items()),
        _parameter(TIMEOUT_HEADER, "header", _TIMEOUT.json_schema()),
    ]


def _parameter(name: str, where: str, schema: dict[str, Any]) -> dict[str, Any]:
    described = {"description": schema["description"], "schema": schema}
    return {"name": name, "in": where, "required": False, **described}


def invalid_option(error: RequestValidationError | ValidationError) -> InvalidOption:
    """Our own error for what pydantic found wrong."""
    found = []
    for e in error.errors():
        where = ".".join(str(part) for part in e["loc"])
        found.append(": ".join(filter(None, (where, e["msg"].removeprefix("Value error, ")))))
    return InvalidOption("; ".join(found))
