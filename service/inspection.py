"""One request's images, from encoded bytes to answers; the heavy work leaves the event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from anyio import CapacityLimiter, to_thread
from numpy.typing import NDArray

from service.anomaly_map import encode_map, fitting_size
from service.backends import Backend, Outputs, infer_all
from service.contract import Contract
from service.decision import (
    NOVELTY_THRESHOLD,
    Criterion,
    DeploymentCriterion,
    decimal,
    find_regions,
)
from service.errors import GatewayBusy, ImageError
from service.image import InputImage, read_image, read_original
from service.metrics import Metrics
from service.schemas import (
    Answer,
    Decision,
    MapAnswer,
    ModelCard,
    ModelVersion,
    Normal,
    Options,
    ProblemDetails,
    RegionAnswer,
    Rejection,
    Scale,
)
from service.settings import Settings
from service.upload import Upload

RETRY_AFTER_S = 1
T = TypeVar("T")


@dataclass(frozen=True)
class _Readable:
    """A decoded image on its way to a decision."""

    index: int
    filename: str | None
    data: bytes
    image: InputImage
    timing_ms: dict[str, float]


@dataclass(frozen=True)
class _Judge:
    """How one request wants its images decided and its maps encoded."""

    criterion: Criterion
    options: Options
    map_pixels: int  # at most, for each image


class Inspector:
    """Answers for images by means of one backend."""

    def __init__(self, settings: Settings, backend: Backend, metrics: Metrics) -> None:
        self.settings = settings
        self.metrics = metrics
        self._backend = backend
        self._threads = CapacityLimiter(settings.decode_threads)
        self._slots = asyncio.Semaphore(settings.max_in_flight)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold one of the places for requests in flight; raises GatewayBusy when all are taken."""
        if self._slots.locked():
            limit = self.settings.max_in_flight
            raise GatewayBusy(f"{limit} requests are in flight.", retry_after=RETRY_AFTER_S)
        async with self._slots:
            with self.metrics.in_flight.track_inprogress():
                yield

    async def ready(self) -> None:
        """Return when a request without options would be answered; raises BackendError."""
        await self._backend.ready()
        self._criterion(Options()).check(await self._contract())

    async def model(self) -> ModelCard:
        """What is served, and the criterion that holds unless a request brings its own."""
        contract = await self._contract()
        criterion = self._criterion(Options())
        return ModelCard(
            **vars(contract),
            threshold=criterion.score_threshold,
            max_false_alarm_rate=criterion.max_false_alarm_rate,
        )

    async def inspect(
        self, uploads: Sequence[Upload], options: Options, timing_ms: Mapping[str, float]
    ) -> Answer:
        """Inspect images; one that cannot be read gets its problem in its place.

        `timing_ms` is what the request took so far. Raises InvalidOption and BackendError.
        """
        contract = await self._contract()
        criterion = self._criterion(options)
        criterion.check(contract)
        images = await self._read_all(uploads, contract, timing_ms)
        readable = [image for image in images if isinstance(image, _Readable)]
        results: list[Decision | Rejection] = [i for i in images if isinstance(i, Rejection)]
        if readable:
            outputs = await self._infer(readable, contract.max_batch_size)
            judge = _Judge(criterion, options, self.settings.max_map_pixels // len(readable))
            results += await self._decide_all(readable, outputs, judge)
            contract = await self._contract()  # another version may have answered
        return Answer(
            model=ModelVersion(name=contract.name, version=contract.version),
            results=sorted(results, key=lambda result: result.index),
        )

    async def _contract(self) -> Contract:
        contract = await self._backend.contract()
        self.metrics.serves(contract)
        return contract

    def _criterion(self, options: Options) -> Criterion:
        if options.threshold is not None:
            return Criterion(options.threshold)
        if options.max_false_alarm_rate is not None:
            return Criterion(max_false_alarm_rate=options.max_false_alarm_rate)
        return DeploymentCriterion(self.settings.threshold, self.settings.max_false_alarm_rate)

    async def _read_all(
        self, uploads: Sequence[Upload], contract: Contract, timing_ms: Mapping[str, float]
    ) -> list[_Readable | Rejection]:
        size = (contract.height, contract.width)
        return await self._in_threads(
            partial(self._read, index, upload, size, dict(timing_ms))
            for index, upload in enumerate(uploads)
        )

    def _read(
        self, index: int, upload: Upload, size: tuple[int, int], timing_ms: dict[str, float]
    ) -> _Readable | Rejection:
        try:
            with self.metrics.stage("decode", timing_ms):
                data = upload.read()
                image = read_image(data, size, max_pixels=self.settings.max_pixels)
        except ImageError as problem:
            self.metrics.rejected(problem.reason)
            details = ProblemDetails.model_validate(problem.details())
            return Rejection(index=index, filename=upload.filename, problem=details)
        return _Readable(index, upload.filename, data, image, timing_ms)

    async def _infer(self, readable: Sequence[_Readable], max_batch_size: int) -> Outputs:
        batch = np.stack([item.image.pixels for item in readable])  # (B, H, W, 3)
        timing_ms: dict[str, float] = {}
        with self.metrics.stage("infer", timing_ms):
            outputs = await infer_all(self._backend, batch, max_batch_size)
        for item in readable:
            item.timing_ms.update(timing_ms)
        return outputs

    async def _decide_all(
        self, readable: Sequence[_Readable], outputs: Outputs, judge: _Judge
    ) -> list[Decision]:
        decisions = await self._in_threads(
            partial(self._decide, item, outputs, row, judge) for row, item in enumerate(readable)
        )
        for decision in decisions:
            self.metrics.decided(decision, judge.options.line)
        return decisions

    def _decide(self, item: _Readable, outputs: Outputs, row: int, judge: _Judge) -> Decision:
        score, p_value = decimal(outputs.score[row]), decimal(outputs.p_value[row])
        criterion, anomaly_map = judge.criterion, outputs.anomaly_map[row]  # (h, w)
        with self.metrics.stage("postprocess", item.timing_ms):
            verdict = criterion.judge(score, p_value)
            # A decision by p-value may fall below the threshold; it has its regions all the same.
            level = min(criterion.threshold, score)
            size = (item.image.width, item.image.height)
            regions = find_regions(anomaly_map, level, size) if verdict == "anomalous" else []
        return Decision(
            index=item.index,
            filename=item.filename,
            decision=verdict,
            score=score,
            threshold=criterion.score_threshold,
            max_false_alarm_rate=criterion.max_false_alarm_rate,
            p_value=p_value,
            novelty=decimal(outputs.novelty[row]),
            unknown_product=bool(outputs.novelty[row] >= NOVELTY_THRESHOLD),
            raw_score=decimal(outputs.raw_score[row]),
            normal=Normal(
                location=decimal(outputs.normal_location[row]),
                scale=decimal(outputs.normal_scale[row]),
            ),
            regions=[RegionAnswer(**vars(region)) for region in regions],
            anomaly_map=self._encode(item, anomaly_map, judge),
            timing_ms=item.timing_ms,
        )

    def _encode(
        self, item: _Readable, anomaly_map: NDArray[np.float32], judge: _Judge
    ) -> MapAnswer | None:
        encoding = judge.options.map
        if encoding == "none":
            return None
        size = fitting_size((item.image.width, item.image.height), judge.map_pixels)
        with self.metrics.stage("encode", item.timing_ms):
            original = None
            if encoding == "overlay":
                original = read_original(item.data, max_pixels=self.settings.max_pixels)
            encoded = encode_map(anomaly_map, size, encoding, original)
        return MapAnswer(**vars(encoded), scale=None if encoding == "npy" else Scale())

    async def _in_threads(self, tasks: Iterable[Callable[[], T]]) -> list[T]:
        """Run in the bounded pool; the order stays."""
        runs = (to_thread.run_sync(task, limiter=self._threads) for task in tasks)
        return await asyncio.gather(*runs)
