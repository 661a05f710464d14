"""What the served graph takes and promises, read from Triton's own model configuration.

The embedded backends parse the `config.pbtxt` of the model repository, a Triton server sends the
same message over gRPC; there is no manifest of another format.
"""

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import isfinite

import numpy as np
from google.protobuf import text_format
from numpy.typing import NDArray

from onegauge.service.errors import ContractError
from onegauge.service.imaging.depth import Depth
from onegauge.service.imaging.tiles import Tiling
from onegauge.service.model.messages import DataType, ModelConfig, ModelInput, ModelOutput

IMAGE = "image"
ANOMALY_MAP = "anomaly_map"
_DATA = {"calibration_scores", "inspected"}  # parameters in base64
# Of a model with a library of normal images: the references most like each image (B, k), how much
# each counts, and the patches of the image (B, h, w, A)
EXPLAINING = ("neighbours", "weights", "points")
SCALARS = ("score", "p_value", "raw_score", "normal_location", "normal_scale", "novelty")


@dataclass(frozen=True)
class Contract:
    """Name, sizes in pixels and provenance of one version of a gauge model."""

    name: str
    version: str
    height: int
    width: int
    map_height: int
    map_width: int
    max_batch_size: int
    backend: str
    parameters: Mapping[str, str]
    explains: bool = False  # whether its graph has the outputs EXPLAINING

    @classmethod
    def from_config(cls, config: ModelConfig, version: str) -> "Contract":
        """Read the contract; raises ContractError when the model is not one of ours."""
        if config.max_batch_size < 1:
            raise _violated(config, f"max_batch_size is {config.max_batch_size}, not 1 or more")
        image = _dims(config, config.input, IMAGE, "TYPE_UINT8")
        if len(image) != 3 or image[2] != 3:
            raise _violated(config, f"input {IMAGE} has shape {image}, not [height, width, 3]")
        anomaly_map = _dims(config, config.output, ANOMALY_MAP, "TYPE_FP32")
        if len(anomaly_map) != 2:
            raise _violated(config, f"output {ANOMALY_MAP} has shape {anomaly_map}, not two sides")
        for name in SCALARS:
            if (dims := _dims(config, config.output, name, "TYPE_FP32")) != [1]:
                raise _violated(config, f"output {name} has shape {dims}, not [1]")
        return cls(
            name=config.name,
            version=version,
            height=image[0],
            width=image[1],
            map_height=anomaly_map[0],
            map_width=anomaly_map[1],
            max_batch_size=config.max_batch_size,
            backend=config.backend,
            parameters={key: value.string_value for key, value in config.parameters.items()},
            explains={tensor.name for tensor in config.output}.issuperset(EXPLAINING),
        )

    @property
    def calibration_images(self) -> int | None:
        """The number of normal images behind the p-values, None when the model does not say."""
        text = self.parameters.get("calibration_images", "")
        return int(text) if text.isdecimal() else None

    @property
    def false_alarm_rate(self) -> float | None:
        """The share of normal images that score 1.0 or more, None when the model does not say."""
        return _number(self.parameters.get("false_alarm_rate"))

    @property
    def calibrated_at(self) -> float | None:
        """When, in seconds since 1970, None when the model does not say."""
        return _number(self.parameters.get("calibrated_at"))

    @cached_property
    def tiling(self) -> Tiling | None:
        """How pictures are cut, None for a model of whole pictures."""
        return Tiling.from_parameters(self.parameters)

    @cached_property
    def depth(self) -> Depth:
        """The bits that files of more than 8 fill, unknown when the model does not say."""
        return Depth.from_parameters(self.parameters)

    @cached_property
    def rescoring(self) -> tuple[int, NDArray[np.float32]] | None:
        """What scores a part of a map alone: pixels that make a score, calibration scores (n,).

        None when the model does not say.
        """
        pixels = self.parameters.get("score_pixels", "")
        if not pixels.isdecimal() or not 0 < int(pixels) <= self.map_height * self.map_width:
            return None
        try:
            scores = np.frombuffer(b64decode(self.parameters["calibration_scores"]), "<f4")
        except (KeyError, ValueError):
            return None
        return int(pixels), scores

    @cached_property
    def inspected(self) -> NDArray[np.bool_] | None:
        """The part (h, w) of a map that the model scores, None for all, or when it does not say."""
        shape = self.map_height, self.map_width
        try:
            packed = np.frombuffer(b64decode(self.parameters["inspected"]), np.uint8)
            return np.unpackbits(packed)[: shape[0] * shape[1]].reshape(shape).astype(bool)
        except (KeyError, ValueError):
            return None

    @property
    def told(self) -> dict[str, str]:
        """The parameters that people read: all but what is data."""
        return {k: v for k, v in self.parameters.items() if k not in _DATA}


def parse_config(text: str) -> ModelConfig:
    """Parse the text of a `config.pbtxt`; raises ContractError."""
    config = ModelConfig()
    config.CopyFrom(_parsed(text))
    return config


@lru_cache(maxsize=1)  # a gateway reads one each second, and no other thread works meanwhile
def _parsed(text: str) -> ModelConfig:
    try:
        return text_format.Parse(text, ModelConfig())
    except text_format.ParseError as exc:
        raise ContractError(f"config.pbtxt is not a Triton model configuration: {exc}") from exc


def _dims(
    config: ModelConfig, tensors: Iterable[ModelInput | ModelOutput], name: str, data_type: str
) -> list[int]:
    """The shape of a tensor without its batch dimension, checked to be fixed."""
    tensor = next((t for t in tensors if t.name == name), None)
    if tensor is None:
        raise _violated(config, f"it has no tensor named {name}")
    if (given := DataType.Name(tensor.data_type)) != data_type:
        raise _violated(config, f"{name} is of {given}, not {data_type}")
    if any(side < 1 for side in tensor.dims):
        raise _violated(config, f"{name} has the open shape {list(tensor.dims)}")
    return list(tensor.dims)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if isfinite(number) else None


def _violated(config: ModelConfig, why: str) -> ContractError:
    return ContractError(
        f"Model {config.name!r} is not a gauge model: {why}. Serve one written by onegauge export."
    )
