"""One request's images, from encoded bytes to answers; the heavy work leaves the event loop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf

import numpy as np
from numpy.typing import NDArray

from onegauge.schemas import (
    Answer,
    Decision,
    MapAnswer,
    ModelVersion,
    Normal,
    Options,
    ProblemDetails,
    RegionAnswer,
    Rejection,
    Scale,
)
from onegauge.service.errors import ImageError
from onegauge.service.http.body import Upload
from onegauge.service.imaging.image import InputImage, read_image, read_original
from onegauge.service.imaging.tiles import Tiles, Tiling
from onegauge.service.inspection.anomaly_map import encode_map, fitting_size
from onegauge.service.inspection.decision import (
    NOVELTY_THRESHOLD,
    Criterion,
    DeploymentCriterion,
    decimal,
)
from onegauge.service.inspection.judge import Judge
from onegauge.service.inspection.mask import inspected_part
from onegauge.service.inspection.measured import MeasuredModel, MeasuredModelAtHand
from onegauge.service.inspection.regions import find_regions
from onegauge.service.inspection.tiled import inspect_tiles
from onegauge.service.model.backends import Infer, Model, Outputs, infer_all
from onegauge.service.model.contract import Contract
from onegauge.service.observe.metrics import Metrics
from onegauge.service.settings import Settings
from onegauge.service.threads import Threads, beside


@dataclass(frozen=True)
class _Readable:
    """A decoded image on its way to a decision."""

    index: int
    filename: str | None
    data: bytes
    image: InputImage | Tiles
    timing_ms: dict[str, float]


@dataclass(frozen=True)
class Inquiry:
    """The images of one request, how it wants them decided, and by when."""

    uploads: Sequence[Upload]
    options: Options
    timing_ms: Mapping[str, float]  # what the request took so far
    deadline: float  # in the event loop's time
    lossless: bool = False  # overlays as PNG instead of JPEG
    mask: Upload | None = None  # of all images


class Inspection:
    """The way from images to answers by one version of the model."""

    def __init__(self, settings: Settings, metrics: Metrics, threads: Threads) -> None:
        self._settings = settings
        self._metrics = metrics
        self._threads = threads

    async def answer(self, inquiry: Inquiry, model: MeasuredModel) -> Answer:
        """Inspect images; one that cannot be read gets its problem in its place.

        Raises InvalidOption and BackendError.
        """
        contract, options = model.contract, inquiry.options
        criterion = requested_criterion(options) or deployment_criterion(self._settings)
        criterion.check(contract)
        pixels = self._settings.max_map_pixels // len(inquiry.uploads)
        inspected = await self._read_mask(inquiry, contract)
        margin = self._settings.quick_look or 0.0
        judge = Judge(contract, criterion, options, pixels, inquiry.lossless, inspected, margin)
        results: Sequence[Decision | Rejection]
        if contract.tiling or not isinstance(model, MeasuredModelAtHand):
            results = await self._step_by_step(inquiry, model, judge)
        else:
            results = await self._image_by_image(inquiry, model, judge)
        return Answer(
            model=ModelVersion(name=contract.name, version=contract.version), results=results
        )

    async def _image_by_image(
        self, inquiry: Inquiry, model: MeasuredModelAtHand, judge: Judge
    ) -> list[Decision | Rejection]:
        """Read, infer and decide in one of the model's threads.

        A few images at once, so that a large request alone cannot fill the model's queue.
        """
        results: list[Decision | Rejection] = []
        jobs = [
            partial(self._whole, index, upload, inquiry.timing_ms, judge)
            for index, upload in enumerate(inquiry.uploads)
        ]
        if len(jobs) == 1:  # mostly, and without a task of its own
            return [await model.work(jobs[0], inquiry.deadline)]
        size = model.contract.max_batch_size
        for start in range(0, len(jobs), size):
            some = (model.work(job, inquiry.deadline) for job in jobs[start : start + size])
            results += await beside(some)
        return results

    def _whole(
        self,
        index: int,
        upload: Upload,
        timing_ms: Mapping[str, float],
        judge: Judge,
        infer: Infer,
    ) -> Decision | Rejection:
        item = self._read(index, upload, judge.contract, dict(timing_ms))
        if isinstance(item, Rejection):
            return item
        assert isinstance(item.image, InputImage)
        with self._metrics.stage("infer", item.timing_ms):
            outputs = infer(item.image.pixels[np.newaxis], judge.is_clear)
        return self._decide(item, judge.looked_at(outputs), judge)

    async def _step_by_step(
        self, inquiry: Inquiry, model: Model, judge: Judge
    ) -> list[Decision | Rejection]:
        """Read all images, infer where the model is, and decide."""
        images = await self._read_all(inquiry, judge.contract)
        readable = [image for image in images if isinstance(image, _Readable)]
        results: list[Decision | Rejection] = [i for i in images if isinstance(i, Rejection)]
        if tiling := judge.contract.tiling:
            read = await self._infer_tiles(readable, model, tiling, inquiry.deadline)
        elif readable:
            outputs = await self._infer(readable, model, inquiry.deadline)
            read = [(item, outputs.row(row)) for row, item in enumerate(readable)]
        else:
            read = []
        results += [found for _, found in read if isinstance(found, Rejection)]
        results += await self._threads.run_all(
            partial(self._decide, item, judge.looked_at(found), judge)
            for item, found in read
            if isinstance(found, Outputs)
        )
        return sorted(results, key=lambda result: result.index)

    async def _read_mask(self, inquiry: Inquiry, contract: Contract) -> NDArray[np.bool_] | None:
        mask, max_pixels = inquiry.mask, self._settings.max_pixels
        if mask is None:
            return None
        return await self._threads.run(
            lambda: inspected_part(mask.read(), contract, max_pixels=max_pixels)
        )

    async def _read_all(self, inquiry: Inquiry, contract: Contract) -> list[_Readable | Rejection]:
        return await self._threads.run_all(
            partial(self._read, index, upload, contract, dict(inquiry.timing_ms))
            for index, upload in enumerate(inquiry.uploads)
        )

    def _read(
        self, index: int, upload: Upload, contract: Contract, timing_ms: dict[str, float]
    ) -> _Readable | Rejection:
        size, max_pixels = (contract.height, contract.width), self._settings.max_pixels
        image: InputImage | Tiles
        try:
            with self._metrics.stage("decode", timing_ms):
                data = upload.read()
                if contract.tiling:
                    image = Tiles(
                        data, contract.tiling, size, max_pixels=max_pixels, depth=contract.depth
                    )
                else:
                    image = read_image(data, size, max_pixels=max_pixels, depth=contract.depth)
        except ImageError as problem:
            return _rejection(index, upload.filename, problem)
        return _Readable(index, upload.filename, data, image, timing_ms)

    async def _infer_tiles(
        self, readable: Sequence[_Readable], model: Model, tiling: Tiling, deadline: float
    ) -> list[tuple[_Readable, Outputs | Rejection]]:
        """One picture after the other, so that memory is bounded by the tiles of one batch."""
        found: list[tuple[_Readable, Outputs | Rejection]] = []
        for item in readable:
            assert isinstance(item.image, Tiles)
            try:
                with self._metrics.stage("infer", item.timing_ms):
                    outputs = await inspect_tiles(
                        item.image, tiling, model, deadline, self._threads
                    )
            except ImageError as problem:
                found.append((item, _rejection(item.index, item.filename, problem)))
            else:
                found.append((item, outputs))
        return found

    async def _infer(self, readable: Sequence[_Readable], model: Model, deadline: float) -> Outputs:
        pixels = [item.image.pixels for item in readable if isinstance(item.image, InputImage)]
        timing_ms: dict[str, float] = {}
        with self._metrics.stage("infer", timing_ms):
            outputs = await infer_all(model, pixels, deadline)
        for item in readable:
            item.timing_ms.update(timing_ms)
        return outputs

    def _decide(self, item: _Readable, outputs: Outputs, judge: Judge) -> Decision:
        score, p_value = decimal(outputs.score[0]), decimal(outputs.p_value[0])
        criterion, anomaly_map = judge.criterion, outputs.anomaly_map[0]  # (h, w)
        with self._metrics.stage("postprocess", item.timing_ms):
            verdict = criterion.judge(score, p_value)
            level = judge.level(score, anomaly_map) if verdict == "anomalous" else inf
            anomaly_map = judge.shown(anomaly_map, level)
            size = (item.image.width, item.image.height)
            regions = find_regions(anomaly_map, level, size, contours=judge.options.contours)
        return Decision(
            index=item.index,
            filename=item.filename,
            decision=verdict,
            score=score,
            threshold=criterion.score_threshold,
            max_false_alarm_rate=criterion.max_false_alarm_rate,
            p_value=p_value,
            novelty=decimal(outputs.novelty[0]),
            unknown_product=bool(outputs.novelty[0] >= NOVELTY_THRESHOLD),
            raw_score=decimal(outputs.raw_score[0]),
            normal=Normal(
                location=decimal(outputs.normal_location[0]),
                scale=decimal(outputs.normal_scale[0]),
            ),
            regions=[RegionAnswer(**vars(region)) for region in regions],
            anomaly_map=self._encode(item, anomaly_map, level, judge),
            timing_ms=item.timing_ms,
        )

    def _encode(
        self, item: _Readable, anomaly_map: NDArray[np.float32], level: float, judge: Judge
    ) -> MapAnswer | None:
        encoding = judge.options.map
        if encoding == "none":
            return None
        size = fitting_size((item.image.width, item.image.height), judge.map_pixels)
        with self._metrics.stage("encode", item.timing_ms):
            original = None
            if encoding == "overlay":
                original = read_original(
                    item.data, max_pixels=self._settings.max_pixels, depth=judge.contract.depth
                )
            encoded = encode_map(
                anomaly_map, size, encoding, original, level=level, lossless=judge.lossless
            )
        return MapAnswer(
            encoding=encoded.encoding,
            width=encoded.width,
            height=encoded.height,
            scale=None if encoding in ("npy", "mask") else Scale(),
            content=encoded.data,
        )


def _rejection(index: int, filename: str | None, problem: ImageError) -> Rejection:
    details = ProblemDetails.model_validate(problem.details())
    return Rejection(index=index, filename=filename, problem=details)


def requested_criterion(options: Options) -> Criterion | None:
    """The criterion that a request brings, None where it leaves that to the settings."""
    if options.threshold is not None:
        return Criterion(options.threshold)
    if options.max_false_alarm_rate is not None:
        return Criterion(max_false_alarm_rate=options.max_false_alarm_rate)
    return None


def deployment_criterion(settings: Settings) -> DeploymentCriterion:
    """The criterion of the settings."""
    return DeploymentCriterion(settings.threshold, settings.max_false_alarm_rate)
