"""The design of the printed board: what lies where, in board sides from its centre."""

from __future__ import annotations

from dataclasses import dataclass

Colour = tuple[int, int, int]

CAPACITOR: Colour = (168, 138, 98)
RESISTOR: Colour = (38, 38, 42)
LED: Colour = (214, 208, 170)


@dataclass(frozen=True)
class Rectangle:
    """An upright rectangle on the board."""

    v: float
    u: float
    height: float
    width: float


@dataclass(frozen=True)
class Passive:
    """A two-terminal component; it stands on end when higher than wide."""

    body: Rectangle
    colour: Colour

    def terminals(self, pad: float = 1.0) -> tuple[Rectangle, Rectangle]:
        """Its two ends, enlarged by `pad`."""
        b = self.body
        if b.height > b.width:
            offset, end = b.height / 2, (0.34 * b.height * pad, b.width * pad)
            return Rectangle(b.v - offset, b.u, *end), Rectangle(b.v + offset, b.u, *end)
        offset, end = b.width / 2, (b.height * pad, 0.34 * b.width * pad)
        return Rectangle(b.v, b.u - offset, *end), Rectangle(b.v, b.u + offset, *end)


@dataclass(frozen=True)
class Chip:
    """An integrated circuit with `pins` on its upper and lower side, or on all four."""

    body: Rectangle
    pins: int
    quad: bool
    label: str

    def legs(self) -> list[Rectangle]:
        """The pins, neighbours next to one another."""
        b, reach = self.body, 0.022
        along = [(i - (self.pins - 1) / 2) / self.pins * 0.94 for i in range(self.pins)]
        rows = [
            Rectangle(b.v + side * (b.height + reach) / 2, b.u + a * b.width, reach, 0.014)
            for side in (-1, 1)
            for a in along
        ]
        columns = [
            Rectangle(b.v + a * b.height, b.u + side * (b.width + reach) / 2, 0.014, reach)
            for side in (-1, 1)
            for a in along
        ]
        return rows + columns if self.quad else rows


CHIPS = (
    Chip(Rectangle(-0.13, -0.14, 0.24, 0.24), 8, True, "G1"),
    Chip(Rectangle(0.22, 0.17, 0.12, 0.24), 6, False, "U2"),
)

PASSIVES = (
    *(Passive(Rectangle(-0.29 + 0.11 * i, 0.15, 0.055, 0.085), RESISTOR) for i in range(3)),
    *(Passive(Rectangle(-0.29 + 0.11 * i, 0.30, 0.060, 0.085), CAPACITOR) for i in range(3)),
    *(Passive(Rectangle(0.20, -0.36 + 0.10 * i, 0.090, 0.056), CAPACITOR) for i in range(3)),
    Passive(Rectangle(0.20, -0.06, 0.090, 0.054), RESISTOR),
    Passive(Rectangle(0.055, 0.15, 0.055, 0.085), LED),
    Passive(Rectangle(0.055, 0.30, 0.055, 0.085), LED),
    Passive(Rectangle(-0.37, -0.14, 0.052, 0.085), RESISTOR),
)

HEADER = tuple(Rectangle(0.385, -0.30 + 0.06 * i, 0.034, 0.034) for i in range(11))

HOLES = ((-0.385, -0.385), (-0.385, 0.385), (0.385, -0.39), (0.385, 0.39))

# Copper lanes as (v, u) corners; the first one ends in a via.
LANES = (
    *(((-0.42 + 0.02 * i, -0.02), (-0.40 + 0.02 * i, 0.08), (-0.40 + 0.02 * i, 0.30))
      for i in range(3)),
    *(((-0.21 + 0.03 * i, 0.00), (-0.21 + 0.03 * i, 0.03), (-0.29 + 0.055 * i, 0.08))
      for i in range(6)),
    *(((0.02, -0.22 + 0.03 * i), (0.07, -0.28 + 0.04 * i), (0.13, -0.36 + 0.06 * i))
      for i in range(6)),
    *(((-0.29 + 0.11 * i, 0.20), (-0.29 + 0.11 * i, 0.25)) for i in range(3)),
    ((0.055, 0.20), (0.055, 0.25)),
    ((0.055, 0.35), (0.12, 0.39), (0.30, 0.39), (0.35, 0.30)),
    *(((-0.29 + 0.11 * i, 0.35), (-0.25 + 0.11 * i, 0.39), (-0.22 + 0.11 * i, 0.42))
      for i in range(3)),
    *(((-0.24 + 0.028 * i, -0.28), (-0.24 + 0.028 * i, -0.33 - 0.012 * i)) for i in range(8)),
    *(((0.26, -0.36 + 0.10 * i), (0.30, -0.33 + 0.10 * i), (0.36, -0.30 + 0.12 * i))
      for i in range(4)),
)  # fmt: skip
