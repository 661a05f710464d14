"""One request's images, from encoded bytes to answers; the heavy work leaves the event loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from onegauge.library.library import Library
from onegauge.schemas import Answer, Decision, ModelVersion, ProblemDetails, Rejection
from onegauge.service.errors import ImageError
from onegauge.service.imaging.image import InputImage
from onegauge.service.imaging.tiles import TiledPicture
from onegauge.service.inspection.deployment import Deployment
from onegauge.service.inspection.explainer import Explainer
from onegauge.service.inspection.finding import Finding
from onegauge.service.inspection.inquiry import Inquiry, Seen, Upload
from onegauge.service.inspection.judge import Judge
from onegauge.service.inspection.libraries import Libraries
from onegauge.service.inspection.mask import inspected_part
from onegauge.service.inspection.pictures import infer_tiles, read_picture
from onegauge.service.model.contract import Contract
from onegauge.service.model.criterion import requested_criterion
from onegauge.service.model.model import Infer, Model
from onegauge.service.model.outputs import Outputs
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads, beside


@dataclass(frozen=True)
class _Readable:
    """A decoded image on its way to a decision."""

    index: int
    upload: Upload
    data: bytes
    image: InputImage | TiledPicture
    timing_ms: dict[str, float]


class Inspection:
    """The way from images to answers by one version of the model."""

    def __init__(
        self, settings: Settings, deployment: Deployment, metrics: Metrics, threads: Threads
    ) -> None:
        self._settings = settings
        self._deployment = deployment
        self._metrics = metrics
        self._threads = threads
        self._libraries = Libraries(settings, threads)

    async def answer(self, inquiry: Inquiry, model: Model) -> Answer:
        """Inspect images; one that cannot be read gets its problem in its place.

        Raises InvalidOption and BackendError.
        """
        contract, options = model.contract, inquiry.options
        criterion = requested_criterion(options) or self._deployment.criterion
        criterion.check(contract)
        pixels = self._settings.max_map_pixels // len(inquiry.uploads)
        inspected = await self._read_mask(inquiry, contract)
        explainer = await self._libraries.explainer(contract) if options.explain else None
        judge = Judge(contract, criterion, options, pixels, inquiry.lossless, inspected, explainer)
        # a few at once, so that a large request alone cannot fill the model's queue; of tiles one
        # picture, so that memory is bounded by those of one batch
        together = 1 if contract.tiling else contract.max_batch_size
        results: list[Decision | Rejection] = []
        for first in range(0, len(inquiry.uploads), together):
            some = range(first, min(first + together, len(inquiry.uploads)))
            batches = (some[i : i + model.at_once] for i in range(0, len(some), model.at_once))
            jobs = (partial(self._inspect, inquiry, b, judge, perf_counter()) for b in batches)
            works = (model.work(j, inquiry.deadline, explain=options.explain) for j in jobs)
            for found in await beside(works):
                results += found
        return Answer(
            model=ModelVersion(name=contract.name, version=contract.version), results=results
        )

    async def explainer(self, model: Model) -> Explainer:
        """What explains the answers of a version; raises InvalidOption and ContractError."""
        return await self._libraries.explainer(model.contract)

    async def library(self, model: Model) -> Library:
        """The normal images of a version; raises as `explainer`."""
        return await self._libraries.library(model.contract)

    async def _read_mask(self, inquiry: Inquiry, contract: Contract) -> NDArray[np.bool_] | None:
        mask, max_pixels = inquiry.mask, self._settings.max_pixels
        if mask is None:
            return None
        return await self._threads.run(
            lambda: inspected_part(mask.read(), contract, max_pixels=max_pixels)
        )

    def _inspect(
        self, inquiry: Inquiry, batch: range, judge: Judge, asked: float, infer: Infer
    ) -> list[Decision | Rejection]:
        """Read, infer and decide on some of the images, in a thread that was `asked` for."""
        measured = partial(self._measured, infer, perf_counter() - asked)
        read = partial(self._read, inquiry=inquiry, contract=judge.contract)
        images = self._threads.each(partial(read, index) for index in batch)
        readable = [image for image in images if isinstance(image, _Readable)]
        results: list[Decision | Rejection] = [i for i in images if isinstance(i, Rejection)]
        try:
            outputs = self._infer(readable, judge, measured) if readable else None
        except ImageError as problem:  # a picture of tiles that turned out to be damaged
            return [_rejection(readable[0].index, readable[0].upload.filename, problem)]
        if outputs:
            results += self._threads.each(
                partial(self._decide, item, outputs.row(row), judge)
                for row, item in enumerate(readable)
            )
        return sorted(results, key=lambda result: result.index)

    def _read(self, index: int, inquiry: Inquiry, contract: Contract) -> _Readable | Rejection:
        upload, timing_ms = inquiry.uploads[index], dict(inquiry.timing_ms)
        try:
            with self._metrics.stage("decode", timing_ms):
                data = upload.read()
                image = read_picture(data, contract, self._settings.max_pixels)
        except ImageError as problem:
            return _rejection(index, upload.filename, problem)
        return _Readable(index, upload, data, image, timing_ms)

    def _measured(self, infer: Infer, waited: float, images: NDArray[np.uint8]) -> Outputs:
        with self._metrics.batch(len(images), waited):
            return infer(images)

    def _infer(self, items: Sequence[_Readable], judge: Judge, infer: Infer) -> Outputs:
        timing_ms: dict[str, float] = {}
        with self._metrics.stage("infer", timing_ms):
            if judge.contract.tiling:
                (picture,) = (i.image for i in items if isinstance(i.image, TiledPicture))
                outputs = infer_tiles(picture, judge.contract, infer, self._threads.here)
            else:
                images = [i.image.pixels for i in items if isinstance(i.image, InputImage)]
                alone = len(images) == 1  # which need not be copied
                outputs = infer(images[0][np.newaxis] if alone else np.stack(images))
        for item in items:
            item.timing_ms.update(timing_ms)
        return judge.looked_at(outputs)

    def _decide(self, item: _Readable, outputs: Outputs, judge: Judge) -> Decision:
        size, encoded = (item.image.width, item.image.height), None
        with self._metrics.stage("postprocess", item.timing_ms):
            found = Finding.of(outputs, judge, size)
            digest = sha256(item.data).digest() if judge.options.views else b""
            item.upload.seen = Seen(*size, found.anomaly_map, judge.inspected, digest)
        if judge.options.map != "none":
            with self._metrics.stage("encode", item.timing_ms):
                encoded = found.encoded(item.data, self._settings.max_pixels)
        return found.decision(item.index, item.upload.filename, encoded, item.timing_ms)


def _rejection(index: int, filename: str | None, problem: ImageError) -> Rejection:
    details = ProblemDetails.model_validate(problem.details())
    return Rejection(index=index, filename=filename, problem=details)
