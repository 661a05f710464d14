"""An answer in the form that the client asks for: JSON, a picture, an array, or parts."""

import asyncio
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Literal, TypeAlias
from uuid import uuid4

from fastapi import Response
from starlette.types import Receive, Scope, Send

from onegauge.schemas import Answer, Decision, MapAnswer, Options
from onegauge.service.errors import InvalidOption, NotAcceptable
from onegauge.service.inspection.anomaly_map import MEDIA_TYPES

Form: TypeAlias = Literal[
    "application/json", "image/png", "image/jpeg", "application/x-npy", "multipart/form-data"
]
# Of forms that are one map alone: what the map may be, the first where nothing is asked for.
_MAPS: dict[Form, tuple[str, ...]] = {
    "image/png": ("overlay", "mask", "png", "png16"),
    "image/jpeg": ("overlay",),
    "application/x-npy": ("npy",),
}
FORMS: tuple[Form, ...] = ("application/json", *_MAPS, "multipart/form-data")
_WITH_JSON = ("*/*", "*", "application/*", "application/json")  # some Javas say * for */*
_QUALITY = re.compile(r"0?\.\d+|0\.?|1\.?0*", re.ASCII)
PIECE = 2**18  # bytes of a body that go at once; a multiple of 4 for base64
FEW_REGIONS = 200  # which take less than a millisecond to write
_HEADERS = ("decision", "score", "threshold", "max_false_alarm_rate", "p_value", "novelty")


@lru_cache(maxsize=64)
def wanted_form(accept: str) -> Form:
    """The form that an `Accept` header asks for; raises NotAcceptable.

    Another one than JSON is asked for first and by its name, or JSON is not taken at all: what
    takes everything is often sent with a list of pictures that nobody has thought of.
    """
    ranges = [_media_range(text) for text in accept.split(",")]
    ranges = [(quality, name) for quality, name in ranges if "/" in name or name == "*"]
    wanted = [name for quality, name in sorted(ranges, key=lambda r: -r[0]) if quality > 0]
    if not ranges or any(map(_takes_json, wanted)) and wanted[0] not in FORMS:
        return "application/json"
    for name in wanted:
        for form in FORMS:
            if name in (form, f"{form.partition('/')[0]}/*"):
                return form
    raise NotAcceptable(f"{accept!r} is none of {', '.join(FORMS)}.")


def _media_range(text: str) -> tuple[float, str]:
    """Quality and media range of an element of `Accept`; 0 for a quality that is none."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    given = (p.partition("=")[2].strip() for p in parameters if p.partition("=")[0].strip() == "q")
    quality = next(given, "1")
    return float(quality) if _QUALITY.fullmatch(quality) else 0.0, name


def _takes_json(media_range: str) -> bool:
    return media_range in _WITH_JSON or media_range.endswith("+json")


def options_for(form: Form, options: Options, images: int) -> Options:
    """The options with the map that the form is; raises NotAcceptable and InvalidOption."""
    if form not in _MAPS:
        return options
    if images != 1:
        raise NotAcceptable(f"{form} is the answer for one image; {images} were sent.")
    if options.map == "none":
        return options.model_copy(update={"map": _MAPS[form][0]})
    if options.map not in _MAPS[form]:
        raise InvalidOption(f"map={options.map} is not {form}: ask for {' or '.join(_MAPS[form])}.")
    return options


def is_heavy(answer: Answer) -> bool:
    """Whether to present it takes longer than the event loop can wait."""
    decided = (result for result in answer.results if isinstance(result, Decision))
    regions = [region for decision in decided for region in decision.regions]
    return len(regions) > FEW_REGIONS or any(region.contours for region in regions)


def present(form: Form, answer: Answer) -> Response:
    """The answer, with at least one decision, in a form."""
    decided = [result for result in answer.results if isinstance(result, Decision)]
    maps = {d.index: d.anomaly_map for d in decided if d.anomaly_map is not None}
    if form == "multipart/form-data":
        return _form(answer, maps)
    if form != "application/json" and (anomaly_map := maps.get(0)):
        return Pieces([anomaly_map.content], form, dict(_told(answer, decided[0])))
    if not maps:
        return Response(answer.model_dump_json(), media_type=form)
    return Pieces(_json(answer, list(maps.values())), "application/json", {})


@dataclass(frozen=True)
class Base64:
    """The base64 of bytes, of which a slice is made when it is asked for."""

    content: bytes

    def __len__(self) -> int:
        return 4 * ceil(len(self.content) / 3)

    def __getitem__(self, part: slice) -> bytes:
        """A slice that begins and ends with a whole group of four."""
        return b64encode(self.content[part.start // 4 * 3 : part.stop // 4 * 3])


class Pieces(Response):
    """A body of parts that goes a piece at a time, so that others take turns on the event loop.

    Nothing is joined or turned into base64 before it goes.
    """

    def __init__(
        self, parts: Sequence[bytes | Base64], media_type: str, headers: Mapping[str, str]
    ) -> None:
        length = {"Content-Length": str(sum(map(len, parts)))}
        super().__init__(headers={**headers, **length}, media_type=media_type)
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send the answer."""
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        for part in self._parts:
            for offset in range(0, len(part), PIECE):
                body = part[offset : offset + PIECE]
                await send({"type": "http.response.body", "body": body, "more_body": True})
                await asyncio.sleep(0)  # send waits only while the network is full
        await send({"type": "http.response.body", "body": b""})


def _json(answer: Answer, maps: list[MapAnswer]) -> list[bytes | Base64]:
    """The JSON with the base64 of the maps in its place."""
    mark = uuid4().hex
    for anomaly_map in maps:
        anomaly_map.data = mark
    first, *texts = answer.model_dump_json().encode().split(mark.encode())
    parts: list[bytes | Base64] = [first]
    for anomaly_map, text in zip(maps, texts, strict=True):
        parts += [Base64(anomaly_map.content), text]
    return parts


def _told(answer: Answer, decision: Decision) -> Iterator[tuple[str, str]]:
    """Headers for what a picture cannot tell."""
    yield "X-Onegauge-Model", answer.model.name
    yield "X-Onegauge-Version", answer.model.version
    if answer.part and answer.part.decision:
        yield "X-Onegauge-Part-Decision", answer.part.decision
    for name in _HEADERS:
        if (value := getattr(decision, name)) is not None:
            yield f"X-Onegauge-{name.replace('_', '-').title()}", str(value)


def _form(answer: Answer, maps: dict[int, MapAnswer]) -> Response:
    """A form of the JSON answer and of each map as a file."""
    boundary = uuid4().hex
    for index, anomaly_map in maps.items():
        anomaly_map.part = f"map-{index}"
    parts = [('name="answer"', "application/json", answer.model_dump_json().encode())]
    for anomaly_map in maps.values():
        disposition = f'name="{anomaly_map.part}"; filename="{anomaly_map.part}"'
        parts.append((disposition, MEDIA_TYPES[anomaly_map.encoding], anomaly_map.content))
    body: list[bytes | Base64] = []
    for disposition, media_type, content in parts:
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n"
            f"Content-Type: {media_type}\r\n\r\n"
        )
        body += [head.encode(), content, b"\r\n"]
    body.append(f"--{boundary}--\r\n".encode())
    return Pieces(body, f"multipart/form-data; boundary={boundary}", {})
