"""Everything the gateway refuses or fails at, each with its HTTP status.

Problem
├── ImageError              one image cannot be inspected; the others of the request can
│   ├── ImageTooLarge         413  more bytes than allowed
│   ├── TooManyPixels         413  a header that announces more pixels than allowed
│   ├── UnsupportedImage      415  not JPEG, PNG, WebP, BMP or TIFF, or an exotic pixel format
│   ├── MultiFrameImage       422  an animation or several pages
│   ├── BeyondDepth           422  a value above those that the bits of the camera can have
│   └── UnreadableImage       422  empty, truncated or corrupt
├── RequestError            the request as a whole cannot be answered
│   ├── MalformedBody         400
│   ├── Unauthorized          401  no API key, or one that is not known
│   ├── Forbidden             403  the API key is not good for this
│   ├── CrossOrigin           403  a form of another site
│   ├── RecordsOff            404  the gateway keeps no records
│   ├── NoInspection          404  no record has the id, or its picture was not kept
│   ├── NoProposal            404  nothing that is to be learnt has this number
│   ├── NoSink                404  the gateway has no sink of this name
│   ├── UnknownReference      404  the version that is served has no such normal image
│   ├── NotAcceptable         406  the answer cannot have the form that is asked for
│   ├── BodyTimeout           408  the body did not arrive in time
│   ├── TeachingRefused       409  the model cannot be taught now, or not so
│   ├── BodyTooLarge          413
│   ├── TooManyImages         413
│   ├── UnsupportedBody       415  neither multipart/form-data nor an image, or encoded
│   ├── MissingImage          422
│   ├── InvalidOption         422
│   ├── TooManyRequests       429  more than the API key is good for
│   ├── GatewayBusy           503  as many requests or bytes as allowed are under way
│   ├── RecordsUnreachable    503  the database or the pictures cannot be reached
│   ├── KeysUnreadable        503  the gateway cannot tell which API keys are good
│   ├── ShuttingDown          503  the gateway has been told to stop
│   └── DeadlineExceeded      504  the time that the request was given is over
└── BackendError            the model cannot answer now
    ├── BackendFailed         502  the backend answered with an error
    ├── ContractError         502  the model is not one of ours
    ├── LoadFailed            502  another version was to be served and could not be
    ├── BackendUnavailable    503
    ├── UnpromisedRate        503  the model cannot hold the deployment's false-alarm rate
    ├── BackendOverloaded     503  its queue is full; try again after `retry_after` seconds
    └── BackendTimeout        504
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

_PATH = re.compile(r"(?<![\w:/.])(?:/[\w.@+-]+){2,}")


class Problem(Exception):
    """A refusal or failure that is told to the client as RFC 9457 problem details."""

    status: ClassVar[int]
    reason: ClassVar[str]  # last part of the problem's type, and its label in the metrics
    title: ClassVar[str]

    def __init__(self, detail: str, **extensions: int | float) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = extensions

    def details(self) -> dict[str, int | float | str]:
        """The members of the problem details, extensions included."""
        return {
            "type": f"/problems/{self.reason}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extensions,
        }


class ImageError(Problem):
    """One image cannot be inspected."""


class ImageTooLarge(ImageError):
    """The encoded image has more bytes than allowed."""

    status, reason, title = 413, "image-too-large", "Image too large"


class TooManyPixels(ImageError):
    """The image's header announces more pixels than allowed."""

    status, reason, title = 413, "too-many-pixels", "Too many pixels"


class UnsupportedImage(ImageError):
    """The content is not of a supported image or pixel format."""

    status, reason, title = 415, "unsupported-image", "Unsupported image format"


class MultiFrameImage(ImageError):
    """The file holds an animation or several pages."""

    status, reason, title = 422, "multi-frame-image", "More than one frame"


class BeyondDepth(ImageError):
    """A pixel has a higher value than the bits that the file or the model speaks of can hold."""

    status, reason, title = 422, "beyond-depth", "Value beyond the bit depth"


class UnreadableImage(ImageError):
    """The image is empty, truncated or corrupt."""

    status, reason, title = 422, "unreadable-image", "Unreadable image"


class RequestError(Problem):
    """The request as a whole cannot be answered."""


class MalformedBody(RequestError):
    """The form cannot be parsed."""

    status, reason, title = 400, "malformed-body", "Malformed request body"


class Unauthorized(RequestError):
    """The request has no API key, or one that is not known."""

    status, reason, title = 401, "unauthorized", "API key needed"


class Forbidden(RequestError):
    """The API key has not the scope that the route needs."""

    status, reason, title = 403, "forbidden", "API key without the scope"


class CrossOrigin(RequestError):
    """The request changes something and was not sent by a page of this gateway."""

    status, reason, title = 403, "cross-origin", "Request of another site"


class RecordsOff(RequestError):
    """The gateway keeps no records."""

    status, reason, title = 404, "records-off", "No records are kept"


class NoInspection(RequestError):
    """No record has the id, or what is asked for was not kept of it."""

    status, reason, title = 404, "unknown-inspection", "No such inspection"


class NoProposal(RequestError):
    """No proposal has this number."""

    status, reason, title = 404, "unknown-proposal", "Unknown proposal"


class NoSink(RequestError):
    """The gateway has no sink of this name."""

    status, reason, title = 404, "unknown-sink", "No such sink"


class UnknownReference(RequestError):
    """The version that is served has no normal image of this id."""

    status, reason, title = 404, "unknown-reference", "No such normal image"


class NotAcceptable(RequestError):
    """The answer cannot have the form that is asked for."""

    status, reason, title = 406, "not-acceptable", "No such form of answer"


class BodyTimeout(RequestError):
    """The body did not arrive in time."""

    status, reason, title = 408, "body-timeout", "Request body too slow"


class TeachingRefused(RequestError):
    """The model cannot be taught now, or not so."""

    status, reason, title = 409, "teaching-refused", "The model cannot be taught so"


class BodyTooLarge(RequestError):
    """The request body has more bytes than allowed."""

    status, reason, title = 413, "body-too-large", "Request body too large"


class TooManyImages(RequestError):
    """The request carries more images than allowed."""

    status, reason, title = 413, "too-many-images", "Too many images"


class UnsupportedBody(RequestError):
    """The request body is neither a form nor an image, or is encoded."""

    status, reason, title = 415, "unsupported-body", "Unsupported request body"


class MissingImage(RequestError):
    """The request carries no image."""

    status, reason, title = 422, "missing-image", "No image in the request"


class InvalidOption(RequestError):
    """A request option has a value that cannot be honoured."""

    status, reason, title = 422, "invalid-option", "Invalid option"


class TooManyRequests(RequestError):
    """The API key is used more often than allowed; come back after `retry_after` seconds."""

    status, reason, title = 429, "too-many-requests", "Too many requests"


class GatewayBusy(RequestError):
    """As much as allowed is under way; come back after `retry_after` seconds."""

    status, reason, title = 503, "gateway-busy", "Gateway busy"


class RecordsUnreachable(RequestError):
    """The database or the pictures of the records cannot be reached."""

    status, reason, title = 503, "records-unavailable", "Records unavailable"


class KeysUnreadable(RequestError):
    """The file of the API keys cannot be used, so that none of them is accepted."""

    status, reason, title = 503, "keys-unreadable", "API keys unreadable"


class ShuttingDown(RequestError):
    """The gateway answers what it has begun and then ends."""

    status, reason, title = 503, "shutting-down", "Gateway shutting down"


class DeadlineExceeded(RequestError):
    """The time that the settings or the client gave the request is over."""

    status, reason, title = 504, "deadline-exceeded", "Request deadline exceeded"


class BackendError(Problem):
    """The model cannot answer."""


class BackendFailed(BackendError):
    """The backend answered with an error."""

    status, reason, title = 502, "backend-failed", "Inference failed"


class ContractError(BackendError):
    """The backend serves a model that does not follow the graph's contract."""

    status, reason, title = 502, "contract-violated", "Not a gauge model"

    def __init__(self, detail: str, *, passing: bool = False) -> None:
        """`passing` where it may mend by itself, as a file that is still being copied."""
        super().__init__(detail)
        self.passing = passing


class LoadFailed(BackendError):
    """A version could not be loaded; the one before it goes on."""

    status, reason, title = 502, "load-failed", "Version not loaded"


class BackendUnavailable(BackendError):
    """The backend cannot be reached or is not ready."""

    status, reason, title = 503, "backend-unavailable", "Inference backend unavailable"


class UnpromisedRate(BackendError):
    """The model's calibration is too small for the false-alarm rate of the deployment."""

    status, reason, title = 503, "unpromised-rate", "False-alarm rate not promised"


class BackendOverloaded(BackendError):
    """The backend's queue is full; `retry_after` (seconds) says when to come back."""

    status, reason, title = 503, "backend-overloaded", "Inference backend overloaded"


class BackendTimeout(BackendError):
    """The backend did not answer before the deadline."""

    status, reason, title = 504, "backend-timeout", "Inference deadline exceeded"


@contextmanager
def needed_by(setting: str, extra: str) -> Iterator[None]:
    """Turn a missing library into BackendUnavailable that names the extra which brings it."""
    try:
        yield
    except ModuleNotFoundError as exc:
        raise BackendUnavailable(
            f"{setting} needs {exc.name}, which is not installed: pip install 'onegauge[{extra}]'"
        ) from exc


def for_clients(message: object) -> str:
    """A message of foreign software without its stack trace and paths, as no client's business."""
    first, *_ = str(message).split("\n\n")
    return _PATH.sub("(path)", " ".join(first.split()))
