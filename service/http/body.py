"""The body of an inspection request → its images and options, within limits while it flows.

Built on python-multipart's event parser, because the form parsers above it write large files to
disk and cannot give up one image at a limit without giving up the whole request.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from onegauge.schemas import Options
from onegauge.service.errors import (
    BodyTimeout,
    BodyTooLarge,
    InvalidOption,
    MalformedBody,
    MissingImage,
    TooManyImages,
    UnsupportedBody,
)
from onegauge.service.http.admission import Visit
from onegauge.service.http.names import file_name, text_of
from onegauge.service.inspection.inquiry import Upload
from onegauge.service.settings import Settings

IMAGE_FIELD, MASK_FIELD = "image", "mask"
RAW_TYPES = (b"image/", b"application/octet-stream")  # how the type of a raw image begins
_AS_IT_IS = ("", "identity", "binary", "8bit", "7bit")  # encodings that are none
MAX_OPTION_BYTES = 1024


@dataclass(frozen=True)
class Body:
    """The images of a request, in the order sent, and its option fields as text."""

    images: list[Upload]
    options: dict[str, str]
    mask: Upload | None = None


async def read_body(request: Request, settings: Settings, visit: Visit) -> Body:
    """Read a form or a raw image; raises subclasses of RequestError."""
    media_type, parameters = parse_options_header(request.headers.get("content-type"))
    _refuse_encoded("body", request.headers.get("content-encoding", ""))
    now = asyncio.get_running_loop().time
    end = now() + settings.read_timeout_s
    try:
        async with asyncio.timeout_at(end) as clock:

            def expect_more() -> None:
                clock.reschedule(min(end, now() + settings.stall_timeout_s))

            flow = partial(_flow, request, settings, visit, expect_more)
            if media_type == b"multipart/form-data":
                return await _Form(settings).read(flow, parameters.get(b"boundary", b""))
            if media_type.startswith(RAW_TYPES):
                upload = Upload(None, settings.max_image_bytes)
                await flow(upload.write)
                return Body([upload], {})
    except TimeoutError as exc:
        if not clock.expired():
            raise
        late = f"The body took longer than {settings.read_timeout_s:g} s."
        if clock.when() != end:
            late = f"No more of the body came within {settings.stall_timeout_s:g} s."
        raise BodyTimeout(late) from exc
    raise UnsupportedBody(
        f"The content type is {media_type.decode('latin-1')!r}; send multipart/form-data with "
        f"parts named {IMAGE_FIELD!r}, or one image with its own type, such as image/jpeg."
    )


async def _flow(
    request: Request,
    settings: Settings,
    visit: Visit,
    expect_more: Callable[[], None],
    write: Callable[[bytes], object],
) -> None:
    """Write the body piece by piece, until it exceeds the limit, announced or received."""
    limit = settings.max_request_bytes
    announced = request.headers.get("content-length", "")
    if announced.isdecimal():
        if int(announced) > limit:
            raise _too_large(limit)
        visit.hold(int(announced))
    received, more = 0, True
    while more:
        expect_more()
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk, more = message.get("body", b""), message.get("more_body", False)
        received += len(chunk)
        if received > limit:
            raise _too_large(limit)
        visit.hold(received)
        write(chunk)


def _refuse_encoded(what: str, encoding: str) -> None:
    if encoding.strip().lower() not in _AS_IT_IS:
        raise UnsupportedBody(f"The {what} is encoded as {encoding!r}; send the bytes as they are.")


def _too_large(limit: int) -> BodyTooLarge:
    return BodyTooLarge(f"The body has more than {limit} bytes.", limit_bytes=limit)


class _Form:
    """Collects the parts of a multipart form: images, and each option at most once."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._images: list[Upload] = []
        self._mask: Upload | None = None
        self._options: dict[str, bytes] = {}
        self._write: Callable[[bytes], None]
        self._name = self._value = self._disposition = b""
        self._complete = False

    async def read(
        self, flow: Callable[[Callable[[bytes], object]], Awaitable[None]], boundary: bytes
    ) -> Body:
        """Have the body flow to the parser."""
        try:
            parser = MultipartParser(
                boundary,
                {
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": lambda data, start, end: self._write(data[start:end]),
                    "on_end": self._on_end,
                },
            )
            await flow(parser.write)
        except FormParserError as exc:
            raise MalformedBody(f"The form cannot be parsed: {exc}") from exc
        if not self._complete:
            raise MalformedBody("The form ends before its closing boundary.")
        if not self._images:
            raise MissingImage(f"The form has no part named {IMAGE_FIELD!r}.")
        options = {name: text_of(value) for name, value in self._options.items()}
        return Body(self._images, options, self._mask)

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end].lower()

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        if self._name == b"content-disposition":
            self._disposition = self._value
        elif self._name == b"content-transfer-encoding":
            _refuse_encoded("part", text_of(self._value))
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        """Choose where the part's data goes by its name."""
        _, parameters = parse_options_header(self._disposition)
        name = text_of(parameters.get(b"name", b""))
        if name == IMAGE_FIELD:
            filename = file_name(self._disposition, parameters.get(b"filename"))
            self._write = self._add_image(filename).write
        elif name == MASK_FIELD and self._mask is None:
            self._mask = Upload(None, self._settings.max_image_bytes)
            self._write = self._mask.write
        elif name in Options.model_fields and name not in self._options:
            self._options[name] = b""
            self._write = partial(self._write_option, name)
        else:
            raise InvalidOption(
                f"Unexpected field {name!r}: images are sent as {IMAGE_FIELD!r}; a {MASK_FIELD!r} "
                f"and options, each at most once, are {', '.join(Options.model_fields)}."
            )
        self._disposition = b""

    def _add_image(self, filename: str | None) -> Upload:
        limit = self._settings.max_images
        if len(self._images) == limit:
            raise TooManyImages(f"At most {limit} images are allowed.", limit_images=limit)
        self._images.append(Upload(filename, self._settings.max_image_bytes))
        return self._images[-1]

    def _write_option(self, name: str, chunk: bytes) -> None:
        self._options[name] += chunk
        if len(self._options[name]) > MAX_OPTION_BYTES:
            raise InvalidOption(f"Option {name} has more than {MAX_OPTION_BYTES} bytes.")

    def _on_end(self) -> None:
        self._complete = True
