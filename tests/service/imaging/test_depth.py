import numpy as np
import pytest

from onegauge.service.errors import BeyondDepth
from onegauge.service.imaging.depth import UNKNOWN, Depth, Samples


def grey(*values: int, declared: int | None = None) -> Samples:
    return Samples(np.array(values, np.uint16).reshape(1, -1, 1), declared)


def levels(depth: Depth, samples: Samples) -> list:
    return depth.eight_bits(samples).squeeze().tolist()


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_range_of_a_depth_is_the_range_of_8_bits(bits):
    top = 2**bits - 1
    assert levels(Depth(bits), grey(0, top // 2, top)) == [0, 127, 255]


def test_an_unknown_depth_is_that_of_the_container():
    assert levels(UNKNOWN, grey(0, 4095, 65535)) == [0, 16, 255]


def test_what_the_file_declares_comes_first():
    assert levels(Depth(16), grey(0, 4095, declared=12)) == [0, 255]
    assert levels(Depth(12), grey(0, 65535, declared=16)) == [0, 255]


def test_a_value_beyond_the_depth_is_refused_and_named():
    with pytest.raises(BeyondDepth, match="4096.*12 bits.*trained on.*4095") as raised:
        Depth(12).eight_bits(grey(0, 4096))
    assert (raised.value.status, raised.value.extensions) == (422, {"limit_bits": 12})
    with pytest.raises(BeyondDepth, match="1024.*10 bits.*file declares"):
        UNKNOWN.eight_bits(grey(1024, declared=10))


@pytest.mark.parametrize("opaque", [4095, 65535])
def test_alpha_may_have_the_depth_of_the_colours_or_that_of_the_container(opaque):
    samples = Samples(np.array([[[4095, opaque], [4095, 0]]], np.uint16), None)
    assert levels(Depth(12), samples) == [[255, 255], [255, 0]]


def test_white_may_be_0():
    assert levels(Depth(12), Samples(grey(0, 4095).values, None, inverted=True)) == [255, 0]


@pytest.mark.parametrize(
    ("used", "bits"),
    [(1, 8), (255, 8), (257, 10), (1023, 10), (1025, 12), (4095, 12), (4097, 14), (16383, 14)]
    + [(16385, 16), (65535, 16), (0xFFF0, 16), (0x0FF0, 12), (0x3FC0, 14)],
)
def test_the_smallest_depth_that_holds_the_values_is_taken(used, bits):
    assert Depth.holding(used) == Depth(bits)


def test_a_depth_is_told_and_read_again():
    assert Depth.from_parameters(Depth(12).parameters()) == Depth(12)
    assert UNKNOWN.parameters() == {}
    assert Depth.from_parameters({"detector": "patchcore"}) == UNKNOWN
    for nonsense in ("twelve", "", "99"):
        assert Depth.from_parameters({"bit_depth": nonsense}) == UNKNOWN
