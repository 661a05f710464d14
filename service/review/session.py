"""A login that lasts a while, in a cookie that nobody else can make.

The cookie has the name of the key, when it ends, and an HMAC of both. The HMAC is keyed by a secret
that lies with the records, and by the key's digest: gateways with the same records take each
other's sessions, a key that is removed ends its own, and the file of the keys alone makes none.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Callable
from dataclasses import dataclass
from time import time

from onegauge.service.http.keys import Key

COOKIE = "onegauge_session"
LIFETIME_S = 12 * 3600


@dataclass(frozen=True)
class Sessions:
    """Makes the values of cookies, and reads them."""

    secret: bytes
    clock: Callable[[], float] = time  # seconds since 1970

    def begin(self, key: Key) -> str:
        """What the cookie of a new session holds."""
        end = int(self.clock()) + LIFETIME_S
        name = urlsafe_b64encode(key.name.encode()).decode()
        return f"{name}.{end}.{self._signature(key, end)}"

    def holder(self, cookie: str, find: Callable[[str], Key | None]) -> Key | None:
        """Whose session a cookie is, None where it is none or is over.

        `find` gives the key of a name.
        """
        try:
            encoded, end, signature = cookie.split(".")
            key = find(urlsafe_b64decode(encoded).decode())
            over = self.clock() >= int(end)
        except (ValueError, Error):
            return None
        if key is None or over:
            return None
        good = hmac.compare_digest(self._signature(key, int(end)).encode(), signature.encode())
        return key if good else None

    def _signature(self, key: Key, end: int) -> str:
        return hmac.digest(
            self.secret + bytes.fromhex(key.digest), f"{end} {key.name}".encode(), "sha256"
        ).hex()
