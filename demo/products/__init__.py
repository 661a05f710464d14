"""Procedural products of a production line, flawless and defective, with exact masks.

    geometry   pose, signed distances, strokes and patches
    light      relief, shadows, layers, grain
    camera     uneven light, focus, sensor noise
    product    Scene, Site, Product: how a picture and its mask come about
    defects    the defects that products share
    ring, cloth, board (and circuit), blister, metal, wood, nut, tile, shaft, cap
    tree       pictures in the folders of an MVTec-style data set

Everything follows from the generator that is passed in.
"""

from __future__ import annotations

import numpy as np

from demo.products.blister import BLISTER
from demo.products.board import BOARD
from demo.products.cap import CAP
from demo.products.cloth import CLOTH
from demo.products.metal import METAL
from demo.products.nut import NUT
from demo.products.product import Product
from demo.products.ring import RING
from demo.products.shaft import SHAFT
from demo.products.tile import TILE
from demo.products.wood import WOOD

PRODUCTS: dict[str, Product] = {
    "blister": BLISTER,
    "board": BOARD,
    "cap": CAP,
    "cloth": CLOTH,
    "metal": METAL,
    "nut": NUT,
    "ring": RING,
    "shaft": SHAFT,
    "tile": TILE,
    "wood": WOOD,
}


def render_normal(product: str, rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """A picture uint8 (S, S, 3) of a flawless `product`."""
    return PRODUCTS[product].normal(rng, size)


def render_defective(
    product: str, rng: np.random.Generator, size: int = 256
) -> tuple[np.ndarray, np.ndarray, str]:
    """A picture uint8 (S, S, 3) of a defective `product`, its mask uint8 (S, S), the defect."""
    return PRODUCTS[product].defective(rng, size)
