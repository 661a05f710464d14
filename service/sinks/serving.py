"""A server that shows stations, with an event loop in a thread of its own."""

import asyncio
import logging
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from threading import Thread
from typing import TypeAlias

from onegauge.service.sinks.errors import SinkUnavailable

ENDS_WITHIN_S = 5.0

Listening: TypeAlias = Callable[[], AbstractAsyncContextManager[object]]

_log = logging.getLogger("onegauge.sinks")


class Serving:
    """Has a server listen from `start` to `stop`: as long as `listening` lasts in its loop."""

    def __init__(self, name: str, host: str, port: int, listening: Listening) -> None:
        self._host, self._port, self._listening = host, port, listening
        self._what = f"the {name} server on {host}:{port}"
        self._name = name
        self._thread: Thread | None = None

    def start(self) -> None:
        """Return once it listens; raises SinkUnavailable where it cannot."""
        began: Future[None] = Future()
        try:
            self._bind()
            self._thread = Thread(target=self._run, args=(began,), name=self._name, daemon=True)
            self._thread.start()
            began.result()
        except (OSError, RuntimeError) as exc:
            raise SinkUnavailable(f"{self._what} cannot listen: {exc}") from exc
        _log.info("%s listens", self._what)

    def check(self) -> None:
        """Raise SinkUnavailable where it has ended."""
        if not self._lives:
            raise SinkUnavailable(f"{self._what} has ended")

    def soon(self, task: Callable[[], object]) -> None:
        """Have its loop do something; raises SinkUnavailable where it has ended."""
        self.check()
        with suppress(RuntimeError):  # it ends at this moment
            self._loop.call_soon_threadsafe(task)

    def stop(self) -> None:
        """Let all clients go; where it has not begun, or has ended, nothing is to be done."""
        if self._thread and self._lives:
            self.soon(self._end.set)
            self._thread.join(ENDS_WITHIN_S)

    @property
    def _lives(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _bind(self) -> None:
        """Raise OSError where nobody can listen, before the work of building a server."""
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        socket.create_server((self._host, self._port), family=family).close()

    def _run(self, began: "Future[None]") -> None:
        try:
            asyncio.run(self._serve(began))
        except Exception as exc:  # the end of a thread: who waits is told, or else the log
            if began.done():
                _log.exception("%s has ended", self._what)
            else:
                began.set_exception(exc)

    async def _serve(self, began: "Future[None]") -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        async with self._listening():
            began.set_result(None)
            await self._end.wait()
