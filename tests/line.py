"""A line that inspects part after part, while a test has happen what happens in a plant."""

from collections.abc import Callable
from threading import Event, Thread
from time import monotonic, sleep

import httpx

CLIENTS = 4
LAST_S = 1.0  # of a gateway that is killed


class Line:
    """Clients that send one part after the other, and note what was answered when."""

    def __init__(self, url: str, image: bytes) -> None:
        self.url, self.image = url, image
        self.answered: dict[str, float] = {}  # ids of records, and when they were told
        self.failed: list[object] = []
        self._stop = Event()

    def __enter__(self) -> "Line":
        self._threads = [Thread(target=self._run) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self, count: int = 20) -> None:
        """Return after so many more answers."""
        wanted = len(self.answered) + count
        wait_until(lambda: len(self.answered) >= wanted)

    def safe_at(self, time: float) -> set[str]:
        """What was answered so long before that a kill must not lose it."""
        return {one for one, told in self.answered.copy().items() if told < time - LAST_S}

    def _run(self) -> None:
        with httpx.Client(base_url=self.url, timeout=30) as gateway:
            while not self._stop.is_set():
                try:
                    answer = gateway.post("/inspect", files={"image": self.image})
                    (result,) = answer.json()["results"]
                    self.answered[result["inspection"]] = monotonic()
                except (httpx.HTTPError, KeyError, ValueError) as exc:
                    self.failed.append(exc)
                    return


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    start = monotonic()
    while not condition():
        assert monotonic() - start < seconds, "it did not happen in time"
        sleep(0.05)
