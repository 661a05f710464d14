"""A version of the model that answers, and the backend that it comes from: two narrow protocols."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from onegauge.service.model.contract import Contract
from onegauge.service.model.outputs import Outputs

T = TypeVar("T")

# Inspects a batch (B, H, W, 3), B at most the contract's max_batch_size, and returns when it is
# done. Raises subclasses of BackendError.
Infer: TypeAlias = Callable[[NDArray[np.uint8]], Outputs]


class Model(Protocol):
    """One version of the model, warm and verified: a request stays with the one it began with."""

    @property
    def contract(self) -> Contract:
        """Its name, version, sizes and provenance."""

    @property
    def at_once(self) -> int:
        """How many images it takes best in one batch."""

    async def work(self, job: Callable[[Infer], T], deadline: float, *, explain: bool = False) -> T:
        """Do a job in a thread of the model, with the way to infer at hand.

        `deadline` is in the event loop's time. With `explain`, which only a contract that
        `explains` allows, outputs have their insight. Raises what the job raises, and
        BackendTimeout.
        """


@dataclass(frozen=True)
class Refusal:
    """A version that was to be served and could not be; the one before it still answers."""

    version: str
    detail: str


class Backend(Protocol):
    """Where models run. Raises subclasses of BackendError."""

    async def start(self) -> None:
        """Take what belongs to the event loop."""

    async def stop(self) -> None:
        """Release what `start` took."""

    async def served(self) -> Contract:
        """The version that the repository or the server says is served."""

    async def load(self, contract: Contract) -> Model:
        """A version made ready to answer: loaded, warm, and found to answer as it should."""

    async def version(self, number: str) -> Contract:
        """A certain version, served or not."""

    async def reload(self) -> Refusal | None:
        """Have the server read its repository anew; gives the version that it could not load."""

    async def ready(self) -> None:
        """Return when the backend answers, raise otherwise."""
