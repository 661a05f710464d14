"""Signs what is posted, so that who receives it knows who sent it, and when.

As the Standard Webhooks specification has it: an HMAC-SHA256 of id, time and body.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from onegauge.service.sinks.errors import InvalidSinks

PREFIX = "whsec_"  # of a secret in base64, as the specification has it
LEAST_BYTES = 16


def read_secret(file: Path, name: str) -> bytes:
    """The secret of a sink; raises InvalidSinks."""
    try:
        told = file.read_text("utf-8").strip()
        secret = (
            b64decode(told[len(PREFIX) :], validate=True)
            if told.startswith(PREFIX)
            else told.encode()
        )
    except OSError as exc:
        why = exc.strerror
    except (UnicodeDecodeError, binascii.Error) as exc:
        why = str(exc)
    else:
        if len(secret) >= LEAST_BYTES:
            return secret
        why = f"a secret has {LEAST_BYTES} bytes at least; openssl rand -hex 32 makes one"
    raise InvalidSinks(f"sink {name}: secret_file = {str(file)!r} cannot be used: {why}")


def signed(secret: bytes, message: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """The header of the signature of a message, sent so many seconds after 1970 began."""
    content = b"%b.%d.%b" % (message.encode(), seconds, body)
    return {"webhook-signature": "v1," + b64encode(hmac.digest(secret, content, sha256)).decode()}
