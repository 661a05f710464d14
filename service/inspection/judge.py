"""How one request wants its images decided and its maps encoded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onegauge.schemas import Explanation, NormalPatch, Options
from onegauge.service.inspection.explainer import Explainer
from onegauge.service.inspection.mask import below_elsewhere, inspect_only
from onegauge.service.inspection.regions import Region
from onegauge.service.model.contract import Contract
from onegauge.service.model.criterion import Criterion
from onegauge.service.model.outputs import Outputs


@dataclass(frozen=True)
class Judge:
    """What holds for all images of a request, by one version of the model."""

    contract: Contract
    criterion: Criterion
    options: Options
    map_pixels: int  # at most, for each image
    lossless: bool  # overlays as PNG
    inspected: NDArray[np.bool_] | None  # (h, w), the part of the map that counts; None: all
    explainer: Explainer | None = None  # None: nobody asks why

    def looked_at(self, outputs: Outputs) -> Outputs:
        """What is to be decided on of the outputs: those of the part that counts."""
        if self.inspected is None:
            return outputs
        return inspect_only(self.inspected, outputs, self.contract)

    def level(self, score: float, anomaly_map: NDArray[np.float32]) -> float:
        """The least value of a region in the map (h, w) of an anomalous image.

        A decision by p-value may fall below the threshold; it has its regions all the same.
        """
        counted = anomaly_map if self._part is None else anomaly_map[self._part]
        return min(self.criterion.threshold, score, float(counted.max()))

    def shown(self, anomaly_map: NDArray[np.float32], level: float) -> NDArray[np.float32]:
        """The map (h, w) with nothing at the level of the regions but what counts."""
        if self._part is None:
            return anomaly_map
        return below_elsewhere(anomaly_map, self._part, level)

    def reasons(
        self, outputs: Outputs, regions: Sequence[Region]
    ) -> tuple[Explanation | None, Sequence[NormalPatch | None]]:
        """What the decision on an image and its regions rest on, None where nobody asks why."""
        if self.explainer is None or outputs.insight is None:
            return None, [None] * len(regions)
        explained = self.explainer.explanation(outputs.insight)
        return explained, self.explainer.normal_patches(outputs.insight, regions)

    @property
    def _part(self) -> NDArray[np.bool_] | None:
        return self.contract.inspected if self.inspected is None else self.inspected
