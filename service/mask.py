"""The part of the picture that a request wants inspected, and the score of that part alone."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.backends import Outputs
from service.contract import Contract
from service.decision import p_values
from service.errors import ImageError, InvalidOption
from service.image import read_mask


def inspected_part(data: bytes, contract: Contract, *, max_pixels: int) -> NDArray[np.bool_]:
    """What a mask wants inspected, at the size (h, w) of the maps; raises InvalidOption."""
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
    return inspected


def inspect_only(inspected: NDArray[np.bool_], outputs: Outputs, contract: Contract) -> Outputs:
    """The outputs as if the map (B, h, w) were that of a typical normal image elsewhere.

    The score is the mean of as many of the highest pixels as it is of the whole map, so that it
    cannot exceed that, and the promise about false alarms holds for any mask.
    """
    assert contract.rescoring is not None
    pixels, calibration = contract.rescoring
    anomaly_map = np.where(inspected, outputs.anomaly_map, np.float32(0))
    flat = anomaly_map.reshape(len(anomaly_map), -1)
    score = np.partition(flat, -pixels, axis=1)[:, -pixels:].mean(1)  # (B,)
    p_value = p_values(score, calibration)
    return replace(outputs, score=score, p_value=p_value, anomaly_map=anomaly_map)
