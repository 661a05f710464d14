"""The part of the picture that a request wants inspected, and the score of that part alone."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onegauge.service.errors import ImageError, InvalidOption
from onegauge.service.imaging.image import read_mask
from onegauge.service.model.contract import Contract
from onegauge.service.model.criterion import p_values
from onegauge.service.model.outputs import Outputs


def inspected_part(data: bytes, contract: Contract, *, max_pixels: int) -> NDArray[np.bool_] | None:
    """What a mask leaves to be inspected, at the size (h, w) of the maps; raises InvalidOption.

    None for a mask that leaves all that the model scores.
    """
    if contract.rescoring is None:
        raise InvalidOption(
            f"Version {contract.version} of {contract.name} cannot score a part of a picture, as "
            "it looks at tiles or does not say how it scores: leave the mask out."
        )
    try:
        size = contract.map_height, contract.map_width
        inspected = read_mask(data, size, max_pixels=max_pixels)
    except ImageError as exc:
        raise InvalidOption(f"The mask cannot be read: {exc.detail}") from exc
    if not inspected.any():
        raise InvalidOption("The mask leaves nothing to inspect: paint white what is to be.")
    scored = _scored(contract)
    if not (inspected & scored).any():
        raise InvalidOption(
            f"The mask leaves nothing to inspect: version {contract.version} of {contract.name} "
            "was trained to look elsewhere. Paint white some of what it inspects."
        )
    return None if inspected[scored].all() else inspected & scored


def inspect_only(inspected: NDArray[np.bool_], outputs: Outputs, contract: Contract) -> Outputs:
    """The outputs of a part (h, w) of what the model scores, with a map (B, h, w) of 0 elsewhere.

    The score is the mean of as many of the highest pixels as it is of the whole. Where the part
    has fewer, those elsewhere help out, but as normal ones: none counts for more than 0. So a
    part never scores above the whole, and the promise about false alarms holds for any mask.
    """
    assert contract.rescoring is not None
    pixels, calibration = contract.rescoring
    values = outputs.anomaly_map[:, inspected]  # (B, n)
    if (missing := pixels - values.shape[1]) > 0:
        elsewhere = outputs.anomaly_map[:, _scored(contract) & ~inspected].clip(max=0)
        values = np.concatenate([values, _highest(elsewhere, missing)], axis=1)
    # The graph adds up in another order: the last bit is to alarm nobody.
    score = np.minimum(_highest(values, pixels).mean(1), outputs.score)  # (B,)
    return replace(
        outputs,
        score=score,
        p_value=np.maximum(p_values(score, calibration), outputs.p_value),
        anomaly_map=np.where(inspected, outputs.anomaly_map, np.float32(0)),
    )


def below_elsewhere(
    anomaly_map: NDArray[np.float32], inspected: NDArray[np.bool_], level: float
) -> NDArray[np.float32]:
    """The map (h, w) with 0 beside the part, or less where a level of 0 or less would show that."""
    least = np.float32(min(0.0, level))
    elsewhere = least if least < level else np.nextafter(least, np.float32(-np.inf))
    return np.where(inspected, anomaly_map, elsewhere)


def _scored(contract: Contract) -> NDArray[np.bool_]:
    """The pixels (h, w) that the score of a whole map is of."""
    if contract.inspected is not None:
        return contract.inspected
    return np.ones((contract.map_height, contract.map_width), bool)


def _highest(values: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    return np.partition(values, -count, axis=1)[:, -count:]  # (B, count)
