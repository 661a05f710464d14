"""A line that inspects part after part, while a test has happen what happens in a plant."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import Event, Thread
from time import monotonic, sleep
from typing import Self

import httpx

from rig.gateway_process import Process

CLIENTS = 4
LAST_S = 1.0  # of a gateway that is killed


class Clients(ABC):
    """Several at once, each with a number, that ask a gateway until the block ends."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._stop = Event()

    def __enter__(self) -> Self:
        self._threads = [Thread(target=self._run, args=(number,)) for number in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as gateway:
            while not self._stop.is_set() and self.ask(gateway, number):
                pass

    @abstractmethod
    def ask(self, gateway: httpx.Client, number: int) -> bool:
        """Ask once; whether to go on."""


class Line(Clients):
    """Clients that send one part after the other, and note what was answered when."""

    def __init__(self, url: str, image: bytes) -> None:
        super().__init__(url)
        self.image = image
        self.answered: dict[str, float] = {}  # ids of records, and when they were told
        self.failed: list[object] = []

    def goes_on(self, count: int = 20) -> None:
        """Return after so many more answers."""
        wanted = len(self.answered) + count
        wait_until(lambda: len(self.answered) >= wanted)

    def killed(self, gateway: Process) -> set[str]:
        """What a gateway that is killed under load must not lose."""
        wait_until(lambda: len(self.safe_at(monotonic())) > 20)
        killed = monotonic()
        gateway.popen.kill()
        return self.safe_at(killed)

    def safe_at(self, time: float) -> set[str]:
        """What was answered so long before that a kill must not lose it."""
        return {one for one, told in self.answered.copy().items() if told < time - LAST_S}

    def ask(self, gateway: httpx.Client, number: int) -> bool:  # noqa: ARG002
        """Send one part."""
        try:
            answer = gateway.post("/inspect", files={"image": self.image})
            (result,) = answer.json()["results"]
            self.answered[result["inspection"]] = monotonic()
        except (httpx.HTTPError, KeyError, ValueError) as exc:
            self.failed.append(exc)
            return False
        return True


def wait_until(condition: Callable[[], object], seconds: float = 60) -> float:
    """Seconds until something holds."""
    start = monotonic()
    while not condition():
        assert monotonic() - start < seconds, "it did not happen in time"
        sleep(0.02)
    return monotonic() - start
