"""Takes what a gateway posts: checks who sent it and when, and keeps each event once.

    python mes.py events.db secret 8099

events.db  a table `events`, a row for each event by its id; it is made where there is none
secret     the file that the gateway has as secret_file

Needs nothing but Python. An event is answered once it is on disk, so that a gateway which hears
nothing sends it again: by the same id, which is there already then.
"""

import hmac
import json
import sqlite3
import sys
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock

TOLERANCE_S = 300  # between the clocks, and on the way
MAX_BYTES = 8 * 2**20


class Mes(ThreadingHTTPServer):
    """A server with its table and its secret; each gateway has a thread."""

    def __init__(self, database: str, secret: bytes, port: int) -> None:
        super().__init__(("127.0.0.1", port), Call)
        self.secret = secret
        self.turn = Lock()
        self.rows = sqlite3.connect(database, check_same_thread=False)
        self.rows.execute("PRAGMA journal_mode = wal")
        self.rows.execute(
            "CREATE TABLE IF NOT EXISTS events"
            " (id TEXT PRIMARY KEY, time TEXT, line TEXT, part TEXT, decision TEXT, event TEXT)"
        )

    def keep(self, events: list[dict]) -> None:
        """Keep those that are not there yet, and return when they are on disk."""
        with self.turn, self.rows:
            for event in events:
                data = event["data"]
                told = (event.get("line"), data.get("part"), data["decision"], json.dumps(event))
                self.rows.execute(
                    "INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?, ?)",
                    (event["id"], event["time"], *told),
                )


class Call(BaseHTTPRequestHandler):
    """A request of a gateway, which keeps its connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: Mes

    def do_POST(self) -> None:
        """Answer 204 for what is kept; 4xx for what is not, and never will be."""
        length = int(self.headers["Content-Length"])
        if length > MAX_BYTES:
            self._answer(413)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if not self._is_genuine(body):
            self._answer(401)
            return
        told = json.loads(body)
        self.server.keep(told if isinstance(told, list) else [told])
        self._answer(204)

    def _is_genuine(self, body: bytes) -> bool:
        """Whether the gateway has signed it, a short while ago."""
        message, sent = self.headers["webhook-id"], self.headers["webhook-timestamp"]
        signed = f"{message}.{sent}.".encode() + body
        wanted = b64encode(hmac.digest(self.server.secret, signed, "sha256")).decode()
        given = self.headers.get("webhook-signature", "").split()
        genuine = any(hmac.compare_digest(f"v1,{wanted}", one) for one in given)
        return genuine and abs(time.time() - int(sent)) < TOLERANCE_S

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    file, secret_file, port = sys.argv[1:]
    Mes(file, Path(secret_file).read_text().strip().encode(), int(port)).serve_forever()
