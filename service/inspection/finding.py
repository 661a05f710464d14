"""What the outputs of the graph come to for one image: a decision, its regions and its map."""

from dataclasses import dataclass
from math import inf
from typing import Self

import numpy as np
from numpy.typing import NDArray

from onegauge.schemas import (
    Decision,
    Explanation,
    MapAnswer,
    Normal,
    NormalPatch,
    RegionAnswer,
    Scale,
    Verdict,
)
from onegauge.service.imaging.image import read_original
from onegauge.service.inspection.anomaly_map import encode_map, fitting_size
from onegauge.service.inspection.judge import Judge
from onegauge.service.inspection.regions import Region, find_regions
from onegauge.service.model.criterion import NOVELTY_THRESHOLD, decimal
from onegauge.service.model.outputs import Outputs


@dataclass(frozen=True)
class Finding:
    """A decided image, its map (h, w) as it is shown."""

    judge: Judge
    size: tuple[int, int]  # width and height in pixels of the upright original
    outputs: Outputs  # (1,)
    verdict: Verdict
    level: float  # the least value of a region
    anomaly_map: NDArray[np.float32]
    regions: list[RegionAnswer]
    explanation: Explanation | None

    @classmethod
    def of(cls, outputs: Outputs, judge: Judge, size: tuple[int, int]) -> Self:
        """Decide on an image by its outputs (1,)."""
        score, p_value = decimal(outputs.score[0]), decimal(outputs.p_value[0])
        verdict, anomaly_map = judge.criterion.judge(score, p_value), outputs.anomaly_map[0]
        level = judge.level(score, anomaly_map) if verdict == "anomalous" else inf
        anomaly_map = judge.shown(anomaly_map, level)
        regions = find_regions(anomaly_map, level, size, contours=judge.options.contours)
        explanation, normal = judge.reasons(outputs, regions)
        told = list(map(_told, regions, normal))
        return cls(judge, size, outputs, verdict, level, anomaly_map, told, explanation)

    def encoded(self, data: bytes, max_pixels: int) -> MapAnswer | None:
        """The map as it was asked for; an overlay lies over the picture whose bytes are `data`."""
        judge, encoding = self.judge, self.judge.options.map
        if encoding == "none":
            return None
        original = None
        if encoding == "overlay":
            original = read_original(data, max_pixels=max_pixels, depth=judge.contract.depth)
        size = fitting_size(self.size, judge.map_pixels)
        encoded = encode_map(
            self.anomaly_map, size, encoding, original, level=self.level, lossless=judge.lossless
        )
        return MapAnswer(
            encoding=encoded.encoding,
            width=encoded.width,
            height=encoded.height,
            scale=None if encoding in ("npy", "mask") else Scale(),
            content=encoded.data,
        )

    def decision(
        self,
        index: int,
        filename: str | None,
        anomaly_map: MapAnswer | None,
        timing_ms: dict[str, float],
    ) -> Decision:
        """The answer for the image."""
        outputs, criterion = self.outputs, self.judge.criterion
        return Decision(
            index=index,
            filename=filename,
            decision=self.verdict,
            score=decimal(outputs.score[0]),
            threshold=criterion.score_threshold,
            max_false_alarm_rate=criterion.max_false_alarm_rate,
            p_value=decimal(outputs.p_value[0]),
            novelty=decimal(outputs.novelty[0]),
            unknown_product=bool(outputs.novelty[0] >= NOVELTY_THRESHOLD),
            raw_score=decimal(outputs.raw_score[0]),
            normal=Normal(
                location=decimal(outputs.normal_location[0]),
                scale=decimal(outputs.normal_scale[0]),
            ),
            regions=self.regions,
            explanation=self.explanation,
            anomaly_map=anomaly_map,
            timing_ms=timing_ms,
        )


def _told(region: Region, normal: NormalPatch | None) -> RegionAnswer:
    return RegionAnswer(
        box=region.box,
        area=region.area,
        peak=region.peak,
        mean=region.mean,
        contours=region.contours,
        normal=normal,
    )
