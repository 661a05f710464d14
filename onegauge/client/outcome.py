"""What the gateway found in one image, for `onegauge inspect` and `onegauge watch`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onegauge.client.calls import ClientError, NoGateway, Refused
from onegauge.schemas import Answer, Decision, ModelVersion, PartDecision


@dataclass(frozen=True)
class Outcome:
    """What the gateway found in one image, or the problem in place of that."""

    path: Path
    model: ModelVersion | None = None
    found: Decision | None = None
    problem: str | None = None
    part: PartDecision | None = None  # what was known of it then

    @property
    def decision(self) -> str:
        """`normal`, `anomalous` or `error`."""
        return self.found.decision if self.found else "error"

    def record(self) -> dict[str, Any]:
        """The gateway's answer without pictures, or the problem."""
        if not (self.model and self.found):
            return {"problem": self.problem}
        found = self.found.model_dump(mode="json", exclude={"anomaly_map"})
        part = {"part": self.part.model_dump()} if self.part else {}
        return {"model": self.model.model_dump(), **part, **found}


def without_decision(path: Path, why: ClientError) -> Outcome:
    """The outcome of an image whose request was refused, or failed."""
    problem = why.problem.get("detail") if isinstance(why, Refused) else None
    return Outcome(path, problem=str(problem or why))


def whole(answer: Answer, count: int) -> Answer:
    """An answer for so many images; raises NoGateway where it is of more or fewer."""
    if len(answer.results) != count:
        raise NoGateway(f"{count} images were sent and {len(answer.results)} answered")
    return answer


def outcomes_of(paths: Sequence[Path], answer: Answer) -> list[Outcome]:
    """The outcomes of an answered request, in the order of its images; raises ClientError."""
    return [
        Outcome(path, answer.model, found=result, part=answer.part)
        if isinstance(result, Decision)
        else Outcome(path, answer.model, problem=result.problem.detail)
        for path, result in zip(paths, whole(answer, len(paths)).results, strict=True)
    ]
