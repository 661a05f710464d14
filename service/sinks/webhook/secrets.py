"""By what a receiver knows who posts: the header of its choice, and a signature.

The latter as the Standard Webhooks specification has it: an HMAC-SHA256 of id, time and body.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

PREFIX = "whsec_"  # of a secret in base64, as the specification has it
LEAST_BYTES = 16


def read_secret(file: Path) -> bytes:
    """What signs; raises OSError and ValueError."""
    told = file.read_text("utf-8").strip()
    encoded = told.startswith(PREFIX)
    secret = b64decode(told[len(PREFIX) :], validate=True) if encoded else told.encode()
    if len(secret) < LEAST_BYTES:
        least = f"a secret has {LEAST_BYTES} bytes at least"
        raise ValueError(f"{least}; openssl rand -hex 32 makes one")
    return secret


def signed(secret: bytes, message: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """The header of the signature of a message, sent so many seconds after 1970 began."""
    content = b"%b.%d.%b" % (message.encode(), seconds, body)
    return {"webhook-signature": "v1," + b64encode(hmac.digest(secret, content, sha256)).decode()}


def read_authorization(file: Path) -> str:
    """The value of the header `Authorization`; raises OSError and ValueError."""
    told = file.read_text("ascii").strip()
    if not told or not told.isprintable():
        raise ValueError("it is one line, such as Bearer and a token")
    return told
