"""A server that shows stations, with an event loop in a thread of its own."""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from threading import Thread
from typing import TypeAlias

from onegauge.service.sinks.errors import SinkUnavailable

ENDS_WITHIN_S = 5.0

Listening: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]

_log = logging.getLogger("onegauge.sinks")


class Serving:
    """Has a server listen soon after `start` and until `stop`: as long as `listening` lasts."""

    def __init__(self, name: str, host: str, port: int, listening: Listening) -> None:
        self._host, self._port, self._listening = host, port, listening
        self._name, self._what = name, f"the {name} server on {host}:{port}"
        self._thread: Thread | None = None

    def start(self) -> None:
        """Begin to build the server, for which nobody waits; raises SinkUnavailable."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            socket.create_server((self._host, self._port), family=family).close()
        except OSError as exc:
            raise SinkUnavailable(f"{self._what} cannot listen: {exc}") from exc
        self._loop, self._end = asyncio.new_event_loop(), asyncio.Event()
        self._thread = Thread(target=self._run, name=self._name, daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise SinkUnavailable where it has ended."""
        if not self._lives:
            raise SinkUnavailable(f"{self._what} has ended")

    def soon(self, task: Callable[[], object]) -> None:
        """Have its loop do something, where it has not ended."""
        with suppress(RuntimeError):  # of a loop that is closed
            self._loop.call_soon_threadsafe(task)

    def stop(self) -> None:
        """Let all clients go."""
        if self._thread and self._lives:
            self.soon(self._end.set)
            self._thread.join(ENDS_WITHIN_S)

    @property
    def _lives(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception:  # the end of a thread: who sends next begins it again
            _log.exception("%s has ended", self._what)

    async def _serve(self) -> None:
        async with self._listening():
            _log.info("%s listens", self._what)
            await self._end.wait()
