"""How all images are decided on: by a published model, or by a gateway."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Any, TypeAlias

import pyarrow as pa

from onegauge.bulk.batch import Batch
from onegauge.bulk.by_gateway import ByGateway
from onegauge.bulk.by_model import ByModel
from onegauge.bulk.model import Published
from onegauge.bulk.reading import Reading
from onegauge.schemas import Options
from onegauge.service.inspection.judge import Judge
from onegauge.service.inspection.mask import inspected_part
from onegauge.service.model.criterion import DeploymentCriterion, requested_criterion
from onegauge.service.settings import Settings

Decider: TypeAlias = Callable[[Batch], pa.Table]

ASKING = 4  # tasks, with as many requests under way as a gateway takes by default
IMAGES_WITH_BYTES = 16  # at once: their files may be large
BATCH_BYTES, MOST_IMAGES = 2**22, 16  # of images that are decoded while others are decided on
BATCHES = 8  # of a task, which is done again where its machine is lost


@dataclass(frozen=True)
class Work:
    """What the stages need, and what the output tells of how it was asked for."""

    reading: Reading
    decider: Callable[[], Decider]  # called once in each process
    most_tasks: int | None  # at a time
    maps: bool  # in the rows, which are large then
    asked: Mapping[str, Any]

    @property
    def images(self) -> int:
        """How many are read at once, and then decided on."""
        if self.reading.keeps_bytes or self.reading.contract is None:
            return IMAGES_WITH_BYTES
        contract = self.reading.contract
        return min(MOST_IMAGES, max(1, BATCH_BYTES // (3 * contract.height * contract.width)))

    @property
    def images_a_task(self) -> int:
        """How many at the most; their rows are in memory at once."""
        return self.images if self.maps else BATCHES * self.images


def by_model(settings: Settings, options: Options, mask: bytes | None) -> Work:
    """By the version that the repository of the settings serves, as a gateway with them would.

    Raises BulkError and Problem.
    """
    published = Published.served(settings.repository, settings.model)
    contract = published.contract
    criterion = requested_criterion(options) or DeploymentCriterion(
        settings.threshold, settings.max_false_alarm_rate
    )
    criterion.check(contract)
    part = None if mask is None else inspected_part(mask, contract, max_pixels=settings.max_pixels)
    judge = Judge(contract, criterion, options, settings.max_map_pixels, False, part)
    digest = contract.parameters.get("model_digest", "")
    model = {"name": contract.name, "version": contract.version, "digest": digest}
    limits = {
        "threshold": criterion.score_threshold,
        "max_false_alarm_rate": criterion.max_false_alarm_rate,
    }
    return Work(
        reading=Reading(
            contract=None if contract.tiling else contract,
            keeps_bytes=contract.tiling is not None or options.map == "overlay",
            max_bytes=settings.max_image_bytes,
            max_pixels=settings.max_pixels,
        ),
        decider=partial(ByModel, published, judge, settings.max_pixels),
        most_tasks=None,
        maps=options.map != "none",
        asked={"model": model, **_told(options, mask), **limits},
    )


def by_gateway(
    settings: Settings, url: str, api_key: str | None, options: Options, mask: bytes | None
) -> Work:
    """By what answers at an address."""
    return Work(
        reading=Reading(None, True, settings.max_image_bytes, settings.max_pixels),
        decider=partial(ByGateway, url, api_key, options, mask),
        most_tasks=ASKING,
        maps=options.map != "none",
        asked={"gateway": True, **_told(options, mask)},
    )


def _told(options: Options, mask: bytes | None) -> dict[str, Any]:
    digest = {} if mask is None else {"mask": sha256(mask).hexdigest()}
    return options.model_dump(exclude_defaults=True) | digest
