"""Who looks at the page, and whether a request was sent by the page itself."""

import asyncio
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from fastapi import Request, Response

from onegauge.service.errors import BodyTimeout, BodyTooLarge, CrossOrigin, InvalidOption
from onegauge.service.http.gateway import Gateway
from onegauge.service.review import session
from onegauge.service.review.session import Sessions

HOME = "/review"  # the path of the page's cookies, too
NAME_COOKIE = "onegauge_name"
NAME_LENGTH, NOTE_LENGTH = 64, 500
YEAR_S = 365 * 24 * 3600
FORM_BYTES = 16_384


class LoginNeeded(Exception):
    """The page is for those who log in, and this request has no session."""


@dataclass(frozen=True)
class Visitor:
    """Somebody who may look."""

    name: str  # of the key; where keys are off what they call themselves, empty until they do
    known: bool  # by a key
    may_teach: bool  # and change what decides


def stranger_of(request: Request) -> Visitor:
    """Who sends a request where keys are off, by the name that they gave before."""
    name = one_line(remembered(request, NAME_COOKIE), NAME_LENGTH)
    return Visitor(name, known=False, may_teach=True)


def holder_of(request: Request, sessions: Sessions) -> Visitor:
    """Whose key a request was begun with; raises LoginNeeded and KeysUnreadable."""
    gateway: Gateway = request.app.state.gateway
    key = sessions.holder(remembered(request, session.COOKIE), gateway.access.named)
    if key is None or "review" not in key.scopes:
        raise LoginNeeded
    request.state.access["key"] = key.name
    return Visitor(key.name, known=True, may_teach=not key.scopes.isdisjoint(("teach", "admin")))


def one_line(text: str, length: int) -> str:
    """What somebody typed as it is kept: on one line, and no longer than it may be."""
    return "".join(c for c in text if c.isprintable()).strip()[:length]


def author_of(visitor: Visitor, form: dict[str, str]) -> str:
    """Who sends a form; raises InvalidOption where nobody says so."""
    name = visitor.name if visitor.known else one_line(form.get("by", ""), NAME_LENGTH)
    if not name:
        raise InvalidOption("Say who you are: what was said without a name helps nobody later.")
    return name


def note_of(form: dict[str, str]) -> str | None:
    """What somebody adds to what a form says."""
    return one_line(form.get("note", ""), NOTE_LENGTH) or None


def remember_name(request: Request, response: Response, visitor: Visitor, name: str) -> None:
    """Have a browser know next time who sent a form, unless a key tells."""
    if not visitor.known:
        remember(request, response, NAME_COOKIE, name, YEAR_S)


def remember(request: Request, response: Response, cookie: str, value: str, age_s: int) -> None:
    """Set a cookie of the page; under TLS it is never sent in the clear."""
    tls = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
    response.set_cookie(
        cookie, quote(value), age_s, path=HOME, secure=tls, httponly=True, samesite="strict"
    )


def remembered(request: Request, cookie: str) -> str:
    """The value of a cookie, empty where there is none."""
    return unquote(request.cookies.get(cookie, ""))


def refuse_others(request: Request) -> None:
    """Raise CrossOrigin unless a page of this gateway sent the request."""
    site, origin = (request.headers.get(name) for name in ("sec-fetch-site", "origin"))
    same = origin is not None and urlsplit(origin).netloc == request.headers.get("host")
    # browsers leave out Sec-Fetch-Site on plain HTTP, and none lets a script set it or Origin
    if not (site == "same-origin" if site else same):
        raise CrossOrigin(
            "The request was not sent by a page of this gateway; programs use /v1/inspections."
        )


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form of the page; raises CrossOrigin, BodyTooLarge and BodyTimeout."""
    refuse_others(request)
    body = bytearray()
    seconds = request.app.state.gateway.settings.stall_timeout_s
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                body += chunk
                if len(body) > FORM_BYTES:
                    raise BodyTooLarge(f"The form has more than {FORM_BYTES} bytes.")
    except TimeoutError as exc:
        raise BodyTimeout(f"The form did not arrive within {seconds:g} s.") from exc
    return dict(parse_qsl(body.decode(errors="replace"), keep_blank_values=True))
