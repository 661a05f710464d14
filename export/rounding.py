"""Weights of convolutions rounded to whole steps so that what the layers give stays.

Each to the nearest step moves what a layer gives by a percent and more, as neighbouring pixels are
alike, so that errors of a filter's weights add up. Here a weight is rounded after the other, and
those that are left make up for the error: GPTQ (Frantar et al., ICLR 2023), after the optimal brain
surgeon (Hassibi and Stork 1993).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onegauge.export.session import Session
from onegauge.service.model.contract import IMAGE

WINDOWS = 256  # of what a layer sees in an image
DAMPING = 0.001  # of the mean square of what is seen, so that no weight has to make up for much

Numbers = NDArray[np.floating[Any]]


@dataclass
class _Layer:
    """A convolution of G groups with O outputs of K weights each."""

    node: NodeProto
    weight: TensorProto
    bias: TensorProto | None
    steps: int  # to either side of 0

    def __post_init__(self) -> None:
        told = {a.name: helper.get_attribute_value(a) for a in self.node.attribute}
        self.groups, self.pads = told.get("group", 1), told.get("pads", [0] * 4)
        self.dilations = told.get("dilations", [1, 1])
        inputs = int(np.prod(self.weight.dims[1:]))
        self.products = np.zeros((self.groups, inputs, inputs))  # summed of what it sees
        self.sums = np.zeros((self.groups, inputs))

    def see(self, features: Numbers, rng: np.random.Generator) -> None:
        """Take in features (C, H, W), in random windows."""
        top, left, bottom, right = self.pads
        padded = np.pad(features, ((0, 0), (top, bottom), (left, right)))
        across = []  # rows and columns of each window
        for length, taps, step in zip(
            padded.shape[1:], self.weight.dims[2:], self.dilations, strict=True
        ):
            reach = step * np.arange(taps)
            across.append(rng.integers(0, length - reach[-1], WINDOWS)[:, None] + reach)
        rows, columns = across
        seen = padded[:, rows[:, :, None], columns[:, None, :]]  # (C, R, kh, kw)
        seen = seen.reshape(self.groups, -1, WINDOWS, rows.shape[1] * columns.shape[1])
        seen = seen.transpose(0, 2, 1, 3).reshape(self.groups, WINDOWS, -1)  # (G, R, K)
        self.products += seen.transpose(0, 2, 1) @ seen
        self.sums += seen.sum(1)

    def round(self, windows: int) -> Numbers:
        """Round the weights; the largest magnitude (channels,) that each channel's steps reach."""
        weights = numpy_helper.to_array(self.weight)
        grouped = weights.reshape(self.groups, weights.shape[0] // self.groups, -1)  # (G, O, K)
        largest = np.abs(grouped).max(2, keepdims=True).clip(min=1e-12)
        rounded = rounded_by(grouped.astype(np.float64), largest, self.steps, self.products)
        self.weight.CopyFrom(_tensor(rounded.reshape(weights.shape), self.weight.name))
        if self.bias is not None:  # what is left on average
            shift = (grouped - rounded) @ (self.sums[:, :, None] / windows)
            bias = numpy_helper.to_array(self.bias) + shift.ravel()
            self.bias.CopyFrom(_tensor(bias, self.bias.name))
        reached: Numbers = largest.ravel()
        return reached


def round_weights(
    model: ModelProto, layers: Sequence[NodeProto], images: NDArray[np.uint8], steps: int
) -> dict[str, Numbers]:
    """Round the weights of convolutions in place, as they see images uint8 (N, H, W, 3).

    Each channel has so many steps to either side of 0.

    Gives of each, by its name, the magnitude (channels,) that the steps of a channel reach.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    found = [
        _Layer(node, constants[node.input[1]], constants.get("".join(node.input[2:3])), steps)
        for node in layers
        if node.op_type == "Conv" and node.input[1] in constants
    ]
    names = [*dict.fromkeys(layer.node.input[0] for layer in found)]
    session, rng = Session(_giving(model, names)), np.random.default_rng(0)
    for image in images:
        seen = dict(zip(names, session.outputs(names, [{IMAGE: image[None]}]), strict=True))
        for layer in found:
            layer.see(seen[layer.node.input[0]][0], rng)
    return {layer.weight.name: layer.round(WINDOWS * len(images)) for layer in found}


def rounded_by(weights: Numbers, largest: Numbers, steps: int, products: Numbers) -> Numbers:
    """Weights (G, O, K) in whole steps, so many of which reach the `largest` (G, O, 1).

    Inputs have the products (G, K, K).
    """
    step = largest / steps
    count = weights.shape[2]
    squares = products.diagonal(axis1=1, axis2=2).mean(1)  # (G,)
    damped = np.where(squares > 0, DAMPING * squares, 1)  # what is never seen is left as it is
    inverse = np.linalg.inv(products + damped[:, None, None] * np.eye(count))
    factors = np.linalg.cholesky(inverse).transpose(0, 2, 1)  # (G, K, K), upper
    left, rounded = weights.copy(), np.empty_like(weights)
    for i in range(count):
        now = left[:, :, [i]]
        rounded[:, :, [i]] = (now / step).round().clip(-steps, steps) * step
        error = (now - rounded[:, :, [i]]) / factors[:, [i], [i]][:, None]
        left[:, :, i + 1 :] -= error * factors[:, [i], i + 1 :]
    return rounded


def _giving(model: ModelProto, names: Sequence[str]) -> bytes:
    """The graph with these tensors as its outputs."""
    changed = ModelProto.FromString(model.SerializeToString())
    del changed.graph.output[:]
    changed.graph.output.extend(
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names
    )
    return bytes(changed.SerializeToString())


def _tensor(values: Numbers, name: str) -> TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name)
