"""What a patch is nearest to, in whole numbers of 8 bits: the largest product of a detector.

Patches and memories are rounded to steps, and distances are those of what is rounded. So an error
moves a patch a little, and does not grow as it would in a small difference of large numbers.
Squares of lengths are columns of the product, which is summed in 32 bits.

Processors without VNNI sum two products each in 16 bits first, and what does not fit is cut off. So
patches have 7 bits, in steps twice those of memories, and no digit more than two products hold.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx.parser
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, numpy_helper

from onegauge.export.graph import replace_nodes

BANK = "detector.bank"  # of PatchCore
MEMORIES, USUAL = "detector.memories", "detector.usual"  # of Gallery
COLUMNS = 5  # that have the square of a length
STEPS = 127  # of a memory, to either side of 0
STEP = 2  # of a patch, as a multiple
ONE = 64  # by which the digits of a memory are multiplied
COVERED = 0.9999  # share of the numbers in a bank that the steps reach

# A quarter of the square of a distance as a whole number, where the step of a memory is 1
TO_A_BANK = """
nearest (float[B, P, D] points, bool[N, M] barred) => (float[B, P] squared)
<uint8 zero = {64}, uint8 lowest = {0}, uint8 highest = {127}, uint8 one = {128},
 int64[1] last = {-1}> {
  answering = Where (barred, far, memories)
  apart = Sub (points, mean)
  unbound = QuantizeLinear (apart, step, zero)
  whole = Clip (unbound, lowest, highest)
  seen = DequantizeLinear (whole, step, zero)
  squares = Mul (seen, seen)
  own = ReduceSum <keepdims = 0> (squares, last)
  asking = Pad (whole, columns, one)
  products = MatMulInteger (asking, answering, zero)
  least = ReduceMin <keepdims = 0> (products, last)
  near = Cast <to = 1> (least)
  rest = Mul (near, unit)
  squared = Add (rest, own)
}"""

# The same of every memory, times 4 / u². The square of a length is 1024 · high and a rest in five
# columns; beyond what these hold a patch is drawn nearer, and a memory is left out
TO_NEIGHBOURS = """
nearest (float[B, P, A] points, int8[B, k, M, A] memories, float16[B, k, M] usual)
  => (float[B, P] squared)
<uint8 zero = {64}, uint8 lowest = {0}, uint8 highest = {127}, int8 none = {0}, float one = {1.0},
 float two = {2.0}, float four = {4.0}, float eight = {8.0}, float fold = {1024.0},
 float far = {130048.0}, int64[1] last = {-1}, int8[5] units = {64, 64, 64, 64, 2},
 uint8[5] ones = {128, 128, 128, 128, 65}, int64[3] row = {0, 1, -1}> {
  known = Cast <to = 1> (memories)
  known_squares = Mul (known, known)
  length = ReduceSum (known_squares, last)
  folds = Div (length, fold)
  high = Round (folds)
  taken = Mul (high, fold)
  left = Sub (length, taken)
  low = Div (left, four)
  lengths = Concat <axis = 3> (high, high, high, high, low)
  digits = QuantizeLinear (lengths, one, none)
  short = LessOrEqual (length, far)
  kept = Where (short, memories, none)
  sides = Shape (digits)
  constant = Expand (units, sides)
  answers = Concat <axis = 3> (kept, constant, digits)
  flattened = Reshape (answers, flat)
  answering = Transpose <perm = [0, 2, 1]> (flattened)
  divisors = Cast <to = 1> (usual)
  divided = Mul (divisors, divisors)
  strange = Reciprocal (divided)
  weight = Reshape (strange, row)
  weights = Mul (four, weight)
  around = Mul (points, points)
  apart = ReduceSum (around, last)
  ratio = Div (far, apart)
  part = Min (ratio, one)
  factor = Sqrt (part)
  drawn = Mul (points, factor)
  opposite = Neg (drawn)
  unbound = QuantizeLinear (opposite, two, zero)
  whole = Clip (unbound, lowest, highest)
  seen = DequantizeLinear (whole, two, zero)
  squares = Mul (seen, seen)
  seen_length = ReduceSum (squares, last)
  own = Sub (seen_length, noise)
  own_folds = Div (own, fold)
  own_high = Round (own_folds)
  own_taken = Mul (own_high, fold)
  own_left = Sub (own, own_taken)
  own_low = Div (own_left, eight)
  own_lengths = Concat <axis = 2> (own_high, own_high, own_high, own_high, own_low)
  own_digits = QuantizeLinear (own_lengths, one, zero)
  own_sides = Shape (own_digits)
  own_constant = Expand (ones, own_sides)
  asking = Concat <axis = 2> (whole, own_digits, own_constant)
  products = MatMulInteger (asking, answering, zero)
  quarters = Cast <to = 1> (products)
  distances = Mul (quarters, weights)
  squared = ReduceMin <keepdims = 0> (distances, last)
}"""


def nearest_in_integers(model: ModelProto) -> None:
    """Compare patches and memories in 8 bits, in place; other detectors' graphs stay as they are.

    Of standard operators, some of which ONNX Runtime joins to one.
    """
    nodes, constants = [*model.graph.node], {t.name: t for t in model.graph.initializer}
    maker = {name: node for node in nodes for name in node.output}
    gathered = {n.input[0]: n.output[0] for n in nodes if n.op_type == "GatherND"}
    for least in [node for node in nodes if node.op_type == "ReduceMin"]:
        compared = maker[least.input[0]]
        if compared.op_type == "MatMul":
            memories, usual = (_ending(gathered, name) for name in (MEMORIES, USUAL))
            asking = maker[compared.input[0]]  # own squares, points, ones
            inputs = [asking.input[1], gathered[memories], gathered[usual]]
            numbers = _of_neighbours(constants[memories].dims[2])
            _replace(model.graph, least, TO_NEIGHBOURS, inputs, numbers)
        elif compared.op_type == "Sub":
            squared = next(node for node in nodes if least.output[0] in node.input)
            doubled = maker[maker[compared.input[1]].input[0]]
            masked = maker[maker[compared.input[0]].input[0]]  # squares of lengths
            inputs = [doubled.input[0], masked.input[0]]
            bank = numpy_helper.to_array(constants[_ending(constants, BANK)])
            _replace(model.graph, squared, TO_A_BANK, inputs, _of_bank(bank))


def _ending(names: Iterable[str], end: str) -> str:
    return next(name for name in names if name.endswith(end))


def _of_neighbours(axes: int) -> dict[str, NDArray[Any]]:
    """The constants where memories and points have so many axes."""
    noise = np.array(axes * STEP**2 / 12, np.float32)  # what rounding adds to a length's square
    return {"flat": np.array([0, -1, axes + 2 * COLUMNS]), "noise": noise}


def _of_bank(bank: NDArray[np.float16]) -> dict[str, NDArray[Any]]:
    """The constants of a bank (M, D), whose zero is the mean memory."""
    memories = bank.astype(np.float64)
    mean = memories.mean(0)
    step = max(np.quantile(np.abs(memories - mean), COVERED) / STEPS, 1e-12)
    whole = ((memories - mean) / step).round().clip(-STEPS, STEPS)  # (M, D)
    folds = ((whole**2).sum(1) / STEP**2 / ONE).round()  # (M,) times ONE
    columns = int(-(-folds.max() // STEPS))
    share, left = np.divmod(folds[:, None], columns)
    digits = share + (np.arange(columns) < left)  # (M, C) that add up to the folds
    return {
        "mean": mean.astype(np.float32),
        "step": np.array(STEP * step, np.float32),
        "columns": np.array([0, 0, 0, 0, 0, columns]),
        "memories": np.concatenate([-whole, digits], 1).T.astype(np.int8),  # (D + C, M)
        "far": np.repeat(np.array([0, STEPS], np.int8), [len(mean), columns])[:, None],
        "unit": np.array((STEP * step) ** 2, np.float32),
    }


def _replace(
    graph: GraphProto,
    last: NodeProto,
    text: str,
    inputs: Sequence[str],
    constants: Mapping[str, NDArray[Any]],
) -> None:
    """Have other nodes give what a node gives, of these inputs."""
    found = onnx.parser.parse_graph(text)
    found.initializer.extend(numpy_helper.from_array(v, name) for name, v in constants.items())
    known = dict(zip([tensor.name for tensor in found.input], inputs, strict=True))
    known[found.output[0].name] = last.output[0]
    for node in found.node:
        for names in (node.input, node.output):
            names[:] = [known.get(name, f"{last.output[0]}.{name}") for name in names]
    for tensor in found.initializer:
        tensor.name = f"{last.output[0]}.{tensor.name}"
    graph.initializer.extend(found.initializer)
    place = [*graph.node].index(last)
    replace_nodes(graph, [*graph.node[:place], *found.node, *graph.node[place + 1 :]])
