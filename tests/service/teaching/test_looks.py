"""Pictures that look alike are decided on together."""

from io import BytesIO

import numpy as np
from PIL import Image

from demo.products import render_normal
from demo.products.tree import generator
from onegauge.records.previews import thumbnail
from onegauge.service.teaching.looks import Looks, groups_of, look_of


def looks(product, count):
    rendered = (
        render_normal(product, generator(11, product, "train", n), 256) for n in range(count)
    )
    return [look_of(thumbnail(Image.fromarray(pixels))) for pixels in rendered]


def test_products_are_told_apart_wherever_their_parts_lie():
    found = groups_of([*looks("ring", 5), *looks("board", 4), *looks("ring", 2)])
    assert found == [[0, 1, 2, 3, 4, 9, 10], [5, 6, 7, 8]]


def test_an_odd_one_is_a_group_of_its_own():
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    odd = look_of(thumbnail(Image.fromarray(noise)))
    assert groups_of([odd, *looks("ring", 3)]) == [[1, 2, 3], [0]]


def test_nothing_makes_no_group():
    assert groups_of([]) == []


def test_a_look_is_found_once():
    asked = []

    def read():
        asked.append(1)
        file = BytesIO()
        Image.new("L", (40, 30), 128).save(file, "JPEG")
        return file.getvalue()

    known = Looks()
    assert known.of("ab", read) is known.of("ab", read)
    assert len(asked) == 1
