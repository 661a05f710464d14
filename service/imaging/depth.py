"""How many bits of its samples a camera fills, and samples of any depth as the 8 bits of a model.

Cameras of 10, 12 or 14 bits write files of 16, mostly without a word about it. Read by its full
range, such a picture is all but black; so training looks how many bits its images fill, and what
is served is read alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from onegauge.service.errors import BeyondDepth

CONTAINER = 16  # bits of a sample in a file
DEPTHS = (8, 10, 12, 14, CONTAINER)  # bits that cameras have
_PARAMETER = "bit_depth"


@dataclass(frozen=True)
class Samples:
    """A picture as its file has it: grey or RGB, and then alpha if the channels are 2 or 4."""

    values: NDArray[np.uint16]  # (H, W, C)
    declared: int | None  # bits, None where the file does not say
    inverted: bool = False  # the lowest is white

    @property
    def colour(self) -> NDArray[np.uint16]:
        """Without alpha, (H, W, 1 or 3)."""
        return self.values[..., : 3 if self.values.shape[2] > 2 else 1]

    @property
    def used(self) -> int:
        """All bits that are set in any sample: as wide as the highest."""
        return int(np.bitwise_or.reduce(self.colour, axis=None))


@dataclass(frozen=True)
class Depth:
    """Bits that are filled where a file does not say; None: unknown, and taken as all 16."""

    bits: int | None = None

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, str]) -> Self:
        """As a model's configuration tells it."""
        told = parameters.get(_PARAMETER)
        return cls(next((bits for bits in DEPTHS if str(bits) == told), None))

    def parameters(self) -> dict[str, str]:
        """As a model's configuration tells it."""
        return {} if self.bits is None else {_PARAMETER: str(self.bits)}

    @classmethod
    def holding(cls, used: int) -> Self:
        """The smallest depth for samples with these bits in use."""
        return cls(next(bits for bits in DEPTHS if used < 2**bits))

    def eight_bits(self, samples: Samples) -> NDArray[np.uint8]:
        """The samples (H, W, C) scaled to 0 to 255; raises BeyondDepth where one is too high."""
        bits = samples.declared or self.bits or CONTAINER
        colour, alpha = samples.colour, samples.values[..., samples.colour.shape[2] :]
        if (highest := int(colour.max())) >= 2**bits:
            said = "its file declares" if samples.declared else "the model was trained on"
            raise BeyondDepth(
                f"A pixel has the value {highest}, and {bits} bits, which {said}, end at "
                f"{2**bits - 1}. Set the camera to {bits} bits, or train on images like this one.",
                limit_bits=bits,
            )
        scaled: NDArray[np.uint8]
        if bits == CONTAINER and samples.values.shape[2] > 1:
            scaled = (samples.values >> 8).astype(np.uint8)  # as Pillow has colours of 16 bits
        elif alpha.size:  # which may have the full range beside colours that have not
            other = _scaled(alpha, bits if int(alpha.max()) < 2**bits else CONTAINER)
            scaled = np.concatenate([_scaled(colour, bits), other], axis=2)
        else:
            scaled = _scaled(colour, bits)
        if samples.inverted:
            scaled[..., : colour.shape[2]] = 255 - scaled[..., : colour.shape[2]]
        return scaled


UNKNOWN = Depth()


def _scaled(values: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    levels: NDArray[np.uint8] = _levels(bits)[values]
    return levels


@lru_cache
def _levels(bits: int) -> NDArray[np.uint8]:
    """The 8-bit level of each value (2**bits,), rounded."""
    values = np.arange(2**bits, dtype=np.int64)
    levels: NDArray[np.uint8] = ((values * 255 + 2 ** (bits - 1)) // (2**bits - 1)).astype(np.uint8)
    return levels
