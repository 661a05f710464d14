"""The threshold: what another one would change of what was inspected, and saving it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from onegauge.records.search import Filter
from onegauge.records.tally import Scored
from onegauge.schemas import HIGH, LOW, NewCriterion
from onegauge.service.errors import InvalidOption
from onegauge.service.http.criterion import save
from onegauge.service.http.gateway import GatewayDep
from onegauge.service.model.contract import Contract
from onegauge.service.model.criterion import DEFAULT_THRESHOLD, Criterion, decimal
from onegauge.service.recording.records import Records
from onegauge.service.review.doors import RecordsDep, VisitorDep
from onegauge.service.review.pages import PageRoute, page, redirect
from onegauge.service.review.teach import require_teacher
from onegauge.service.review.visitor import HOME, author_of, form_of, note_of, remember_name

PATH = f"{HOME}/threshold"
NUMBERS = ("200", "1000", "2000", "5000", "10000")  # of inspections to look at
BINS, WIDTH = 41, 0.05  # of the histogram, the last of which has all that is beyond the scale
TILES = 12  # shown of those that would change
_IDS = re.compile(rf"[0-9a-f]{{32}}(,[0-9a-f]{{32}}){{0,{TILES - 1}}}")

Kind: TypeAlias = Literal["false_alarm", "missed", "confirmed", "none"]
KINDS: tuple[Kind, ...] = get_args(Kind)

router = APIRouter(prefix=PATH, route_class=PageRoute, include_in_schema=False)


@dataclass(frozen=True)
class Piece:
    """A part of a bar: images with scores of a bin, of one kind of verdict."""

    kind: Kind
    left: float
    bottom: float  # in shares of the highest bar, by square roots
    height: float
    count: int


@router.get("")
async def threshold(
    request: Request, gateway: GatewayDep, records: RecordsDep, visitor: VisitorDep
) -> Response:
    """The newest inspections by their scores, and what was decided by so far."""
    line, number = request.query_params.get("line") or None, request.query_params.get("number")
    number = number if number in NUMBERS else NUMBERS[1]
    contract, criterion = gateway.versions.current().contract, gateway.deployment.criterion
    which = Filter(line=line, model=contract.name)

    def look(records: Records) -> dict[str, Any]:
        found = records.history.tally.scores(which, limit=int(number))
        return {
            "lines": records.history.tally.lines(),
            "past": records.criteria.history(),
            "pieces": pieces_of(found),
            "total": len(found),
            "data": {**data_of(found, criterion), **promise_of(contract, criterion)},
        }

    return page(
        request,
        "threshold.html",
        visitor,
        line=line,
        number=number,
        criterion=criterion,
        of_settings=gateway.deployment.of_settings,
        saved=gateway.deployment.saved,
        start=_start(request, criterion),
        trained_rate=contract.false_alarm_rate,
        **await records.ask(look),
    )


@router.get("/tiles")
async def tiles(request: Request, records: RecordsDep, visitor: VisitorDep) -> Response:
    """Some of the inspections that would change, a piece of the page."""
    asked = request.query_params.get("ids", "")
    if not _IDS.fullmatch(asked):
        raise InvalidOption(f"ids are up to {TILES} of inspections with commas between.")
    ids = asked.split(",")
    found = await records.ask_of_one(lambda records: records.history.those(ids))
    return page(request, "tiles.html", visitor, found=found)


@router.post("")
async def save_threshold(
    request: Request, gateway: GatewayDep, records: RecordsDep, visitor: VisitorDep
) -> Response:
    """Decide by another threshold from now on, or by something of before."""
    form = await form_of(request)
    require_teacher(visitor)
    name = author_of(visitor, form)
    try:
        new = NewCriterion.model_validate({**_chosen(form), "by": name, "note": note_of(form)})
    except ValidationError as exc:
        told = exc.errors()[0]
        raise InvalidOption(f"{told['loc'][0]}: {told['msg']}; it is {told['input']!r}.") from exc
    await save(gateway, records, new, None)
    response = redirect(PATH)
    remember_name(request, response, visitor, name)
    return response


def _start(request: Request, criterion: Criterion) -> float:
    """The threshold that a page begins with: of its address, or what decides."""
    try:
        asked = float(request.query_params["threshold"])
    except (KeyError, ValueError):
        asked = nan
    known = DEFAULT_THRESHOLD if criterion.score_threshold is None else criterion.score_threshold
    return asked if isfinite(asked) else known


def data_of(found: Sequence[Scored], criterion: Criterion) -> dict[str, Any]:
    """What the page's script counts with, the newest first."""
    scores, p_values = (
        np.array([getattr(one, name) for one in found], np.float32) for name in ("score", "p_value")
    )
    return {
        "ids": "".join(one.id for one in found),
        "scores": [one.score for one in found],
        "now": "".join(np.where(criterion.met_by(scores, p_values), "a", "n")),
        "really": "".join(map(really, found)),
    }


def really(one: Scored) -> str:
    """What a person found an image to be: `g` good, `d` defective, `-` where nobody knows."""
    if one.verdict == "confirmed":
        return "d" if one.decision == "anomalous" else "g"
    return {"false_alarm": "g", "missed": "d"}.get(one.verdict or "", "-")


def promise_of(contract: Contract, criterion: Criterion) -> dict[str, Any]:
    """What tells which false-alarm rate a threshold promises."""
    calibration = contract.rescoring[1] if contract.rescoring else np.zeros(0, np.float32)
    return {
        "calibration": [decimal(score) for score in np.sort(calibration)],
        "trained": contract.false_alarm_rate,
        "threshold": criterion.score_threshold,
        "rate": criterion.max_false_alarm_rate,
    }


def pieces_of(found: Sequence[Scored]) -> list[Piece]:
    """The bars of the histogram, stacked by verdicts; their heights are square roots."""
    counts = Counter((_bin(one.score), _kind(one)) for one in found)
    totals = [sum(counts[bin, kind] for kind in KINDS) for bin in range(BINS)]
    pieces, highest = [], max(totals, default=0) ** 0.5
    for bin, total in enumerate(totals):
        bottom = 0.0
        for kind in KINDS:
            if count := counts[bin, kind]:
                height = total**0.5 / highest * count / total
                pieces.append(Piece(kind, bin * WIDTH, bottom, height, count))
                bottom += height
    return pieces


def _bin(score: float) -> int:
    return int((min(max(score, LOW), HIGH) - LOW) / WIDTH + 1e-9)  # 0.3 / 0.05 is below 6


def _kind(one: Scored) -> Kind:
    return "none" if one.verdict is None or one.verdict == "unclear" else one.verdict


def _chosen(form: dict[str, str]) -> dict[str, str | None]:
    """The threshold of a form, or what its button takes from before."""
    kind, _, value = form.get("again", "").partition(" ")
    if kind in ("threshold", "max_false_alarm_rate"):
        return {kind: value or None}
    return {"threshold": form.get("threshold", "")}
