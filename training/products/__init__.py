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

from training.products.blister import BLISTER
from training.products.board import BOARD
from training.products.cap import CAP
from training.products.cloth import CLOTH
from training.products.metal import METAL
from training.products.nut import NUT
from training.products.product import Product
from training.products.ring import RING
from training.products.shaft import SHAFT
from training.products.tile import TILE
from training.products.wood import WOOD

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
