"""Has another version of the model made of what was marked, tried, served, and taken back.

A step is written down first and undone where it fails, so that no two persons take it at once, and
what is served is never unknown to the records. Files are changed by the command line alone.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from anyio import to_thread

from onegauge.library.library import FILE
from onegauge.records.errors import RecordsError, WrongState
from onegauge.records.lessons import Lesson, Lessons
from onegauge.records.proposals import Proposal, Proposals
from onegauge.schemas import Hindrance, ProposalState
from onegauge.service.errors import NoProposal, Problem, TeachingRefused, for_clients
from onegauge.service.inspection.background import Background
from onegauge.service.inspection.inspector import Inspector
from onegauge.service.inspection.versions import Versions
from onegauge.service.model.contract import Contract
from onegauge.service.model.repository import served_version, stored_versions
from onegauge.service.observe.metrics import Metrics
from onegauge.service.recording.records import Records
from onegauge.service.settings import Settings
from onegauge.service.teaching.command import CommandFailed, onegauge
from onegauge.service.teaching.material import GROUP_BY, lay_out

T = TypeVar("T")
WAITING: tuple[ProposalState, ...] = ("candidate", "shadowed")


class Teacher:
    """For the model of a gateway that keeps records."""

    def __init__(
        self,
        settings: Settings,
        records: Records,
        versions: Versions,
        inspector: Inspector,
        metrics: Metrics,
    ) -> None:
        self._settings, self._records = settings, records
        self._versions = versions
        self.agreement = inspector.agreement
        self._making = Background("teaching", metrics)
        self._folder = settings.repository / settings.model

    @property
    def lessons(self) -> Lessons:
        """What waits to be learnt; raises RecordsUnavailable until the database was reached."""
        return Lessons(self._records.database)

    @property
    def proposals(self) -> Proposals:
        """What was made of it; raises RecordsUnavailable."""
        return Proposals(self._records.database)

    @property
    def model(self) -> str:
        """The name of the model."""
        return self._settings.model

    @property
    def served(self) -> str:
        """The version that answers; raises why there is none."""
        return self._versions.current().contract.version

    def shadows(self, version: str | None) -> bool:
        """Whether a version is tried on this gateway now."""
        shadow = self._versions.shadow
        return shadow is not None and shadow.contract.version == version

    def hindrance(self) -> Hindrance | None:
        """Why nothing can be taught here, None where it can; raises why no version answers."""
        contract = self._versions.current().contract
        if self._settings.place_of_pictures is None:
            return "pictures"
        if any(find_spec(module) is None for module in ("jinja2", "onnx", "onnxruntime")):
            return "extra"
        if not os.access(self._folder, os.W_OK) or not self._is_ours(contract):
            return "repository"
        if contract.parameters.get("precision", "fp32") != "fp32":
            return "precision"
        return None if (self._folder / contract.version / FILE).exists() else "library"

    async def get(self, number: int) -> Proposal:
        """A proposal with its steps; raises NoProposal."""
        found = await _thread(self.proposals.get, number)
        if found is None:
            raise NoProposal(f"There is no proposal {number}.")
        return found

    async def propose(self, by: str | None, removed: Sequence[str] | None = None) -> int:
        """Begin a proposal of all that waits, or of references that are to be removed.

        Raises TeachingRefused.
        """
        if hindrance := self.hindrance():
            raise TeachingRefused(f"This model cannot be taught from here ({hindrance}).")
        lessons = [] if removed is not None else await _thread(self.lessons.open, self.model)
        if not lessons and not removed:
            raise TeachingRefused("Nothing is marked.")
        inspected = [lesson.record.id for lesson in lessons]
        begun = partial(self.proposals.begin, by=by, inspected=inspected, removed=removed or ())
        with _refusing():
            number = await _thread(begun, self.model, self.served)
        await self._making.stop()  # one that was withdrawn here, at most
        self._making.begin(partial(self._make, number, lessons))
        return number

    async def shadow(self, number: int, by: str | None) -> None:
        """Have a candidate inspect a share of the images beside the version that answers."""
        proposal = await self.get(number)
        async with self._step(proposal, "shadowed", by, after=WAITING):
            if self._settings.backend == "triton":  # which has to load it
                await self._publish(proposal.base, proposal.version)
                await self._versions.reload()
            await self._versions.shadow_on(proposal.version)

    async def serve(self, number: int, by: str | None) -> None:
        """Have a candidate answer from now on."""
        proposal = await self.get(number)
        self._require_served(proposal.base)
        async with self._step(proposal, "served", by, after=WAITING):
            await self._serve(proposal.version, otherwise=proposal.base)

    async def roll_back(self, number: int, by: str | None) -> None:
        """Have the version answer that a served one was made of."""
        proposal = await self.get(number)
        self._require_served(proposal.version)
        async with self._step(proposal, "rolled_back", by, after=("served",)):
            await self._serve(proposal.base, otherwise=proposal.version)

    async def withdraw(self, number: int, by: str | None) -> None:
        """Give up a proposal that is not served; its images wait again."""
        proposal = await self.get(number)
        async with self._step(proposal, "withdrawn", by, after=("making", *WAITING)):
            if proposal.state == "making":
                await self._making.stop()
            if proposal.state == "shadowed":
                await self._versions.shadow_on(self._settings.shadow_version)

    async def stop(self) -> None:
        """Give up what is being made."""
        await self._making.stop()

    async def _make(self, number: int, lessons: Sequence[Lesson]) -> None:
        """Change the model in a process of its own, then see what differs in another one."""
        proposal = await self.get(number)
        said: list[str] = []
        try:
            said += await self._change(proposal, lessons)
            version = await _thread(self._newest_version)
            effect = await self._effect(proposal.base, version)
            await self._note(number, "candidate", version=version, said=said, effect=effect)
        except (CommandFailed, RecordsError, OSError) as exc:
            said += exc.said if isinstance(exc, CommandFailed) else []
            with suppress(WrongState):  # it was withdrawn
                await self._note(number, "failed", said=said, error=for_clients(exc))
        except asyncio.CancelledError:
            with suppress(RecordsError):
                failed = {"said": said, "error": "The gateway was stopped meanwhile."}
                self.proposals.step(number, "failed", by=None, after=("making",), **failed)
            raise

    async def _change(self, proposal: Proposal, lessons: Sequence[Lesson]) -> list[str]:
        """Add or remove normal images; the sentences that this tells."""
        target = (str(self._settings.repository), "--name", self.model, "--as-candidate")
        if proposal.removed:
            ids = [word for name in proposal.removed for word in ("--reference", name)]
            return (await onegauge("remove", *target, *ids)).said
        with TemporaryDirectory(prefix="onegauge-teaching-") as scratch:
            count = await _thread(lay_out, lessons, self._records.pictures, Path(scratch))
            if not count:
                raise CommandFailed("none of the pictures is kept any longer", [])
            chosen = ("--data", scratch, "--include", "*", "--group-by", GROUP_BY)
            return (await onegauge("add", *target, *chosen)).said

    async def _effect(self, before: str, after: str) -> dict[str, Any]:
        places = {"ONEGAUGE_RECORDS": self._settings.records}
        if self._settings.place_of_pictures:
            places["ONEGAUGE_PICTURES"] = self._settings.place_of_pictures
        arguments = (after, "--beside", before, "--json", *self._named())
        told = await onegauge("records", "replay", *arguments, environment=places)
        effect: dict[str, Any] = json.loads(told.output)
        return effect

    async def _serve(self, version: str | None, otherwise: str | None) -> None:
        """Publish a version and wait until it answers; else the other one is published again."""
        try:
            await self._publish(version)
            await self._versions.reload()
        except Problem:
            with suppress(TeachingRefused):
                await self._publish(otherwise)
            raise
        await self._versions.shadow_on(self._settings.shadow_version)

    async def _publish(self, version: str | None, shadow: str | None = None) -> None:
        beside = ("--shadow", shadow) if shadow else ()
        try:
            await onegauge("publish", str(version), *self._named(), *beside)
        except CommandFailed as exc:
            raise TeachingRefused(f"The version cannot be published: {for_clients(exc)}") from exc

    def _named(self) -> tuple[str, ...]:
        return "--repository", str(self._settings.repository), "--name", self.model

    @asynccontextmanager
    async def _step(
        self,
        proposal: Proposal,
        state: ProposalState,
        by: str | None,
        after: Sequence[ProposalState],
    ) -> AsyncIterator[None]:
        """Note a step, and take it back where the block fails; raises TeachingRefused."""
        number = proposal.number
        with _refusing():
            await self._note(number, state, by=by, after=after)
        try:
            yield
        except BaseException as exc:
            self.proposals.step(number, proposal.state, by=None, after=(state,), error=str(exc))
            raise

    async def _note(
        self,
        number: int,
        state: ProposalState,
        by: str | None = None,
        after: Sequence[ProposalState] = ("making",),
        **found: Any,
    ) -> None:
        found = {"error": None, **found}
        await _thread(partial(self.proposals.step, by=by, after=after, **found), number, state)

    def _require_served(self, version: str | None) -> None:
        if self.served != version:
            raise TeachingRefused(
                f"Version {self.served} is served, but this step begins at version {version}."
            )

    def _newest_version(self) -> str:
        return str(stored_versions(self._folder)[-1])

    def _is_ours(self, contract: Contract) -> bool:
        """Whether the repository that would be changed is the one that is served from."""
        try:
            return served_version(self._folder).contract == contract
        except Problem:
            return False


async def _thread(function: Callable[..., T], *arguments: Any) -> T:
    return await to_thread.run_sync(function, *arguments)


@contextmanager
def _refusing() -> Iterator[None]:
    """Turn a step that the records refuse into a problem."""
    try:
        yield
    except WrongState as exc:
        raise TeachingRefused(f"{exc}.") from exc
