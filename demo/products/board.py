"""A populated printed circuit board: drawn flat at twice the size, then laid under the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from demo.products.circuit import (
    CHIPS,
    HEADER,
    HOLES,
    LANES,
    PASSIVES,
    Chip,
    Colour,
    Passive,
    Rectangle,
)
from demo.products.defects import fibre, line, particle, place
from demo.products.geometry import Pose, blob, cover, frame
from demo.products.light import paint, relief, rgb, shadow, soften, tint
from demo.products.product import Product, Scene, Site
from onegauge.training.data.noise import fractal_noise

SIDE = 1.12  # of the image: the camera does not see the board's edge
MASK: Colour = (22, 88, 58)
LANE: Colour = (38, 116, 74)
SILK: Colour = (206, 212, 204)
SOLDER: Colour = (198, 200, 198)
GOLD: Colour = (198, 164, 92)


@dataclass(frozen=True)
class Sheet:
    """A canvas in board sides from the centre of the board."""

    canvas: Image.Image
    pen: ImageDraw.ImageDraw

    @classmethod
    def over(cls, canvas: Image.Image) -> Sheet:
        """Draw on this canvas."""
        return cls(canvas, ImageDraw.Draw(canvas))

    def pixel(self, length: float) -> float:
        """A coordinate or, less the half side, a length in pixels."""
        return (length + 0.5) * self.canvas.width

    def box(self, area: Rectangle, colour: Colour, shift: float = 0.0, outline: int = 0) -> None:
        """A filled rectangle, or its outline of so many pixels."""
        top, left = self.pixel(area.v - area.height / 2), self.pixel(area.u - area.width / 2)
        bottom, right = self.pixel(area.v + area.height / 2), self.pixel(area.u + area.width / 2)
        moved = [edge + shift * self.canvas.width for edge in (left, top, right, bottom)]
        fill, rim = (None, colour) if outline else (colour, None)
        self.pen.rounded_rectangle(moved, 2, fill=fill, outline=rim, width=max(outline, 1))

    def disc(self, v: float, u: float, radius: float, colour: Colour) -> None:
        """A filled circle."""
        x, y, r = self.pixel(u), self.pixel(v), radius * self.canvas.width
        self.pen.ellipse([x - r, y - r, x + r, y + r], fill=colour)

    def text(self, v: float, u: float, height: float, words: str, colour: Colour) -> None:
        """A line of text that starts at (v, u)."""
        font = ImageFont.load_default(height * self.canvas.width)
        self.pen.text((self.pixel(u), self.pixel(v)), words, fill=colour, font=font)


def draw(rng: np.random.Generator, size: int) -> Scene:
    """The middle of the board fills the picture; parts sit a little off their pads."""
    pose = Pose.draw(rng, turn=0.012, shift=0.01)
    bare = bare_board(size)
    full = bare.copy()
    assemble(Sheet.over(full), rng)
    batch = tint(rng, (1.0, 1.0, 1.0), 0.035)
    gloss = 0.94 + 0.12 * fractal_noise(rng, size, size, scale=size * 0.4, octaves=2)
    light = batch * gloss[..., None]
    empty, image = (np.clip(laid(sheet, pose, size) * light, 0, 1) for sheet in (bare, full))
    return Scene(image, empty, np.ones((size, size), np.float32), sites(pose))


def bare_board(size: int) -> Image.Image:
    """Solder mask, copper lanes, pads and print."""
    sheet = Sheet.over(Image.new("RGB", (2 * size, 2 * size), MASK))
    for lane in LANES:
        corners = [(sheet.pixel(u), sheet.pixel(v)) for v, u in lane]
        sheet.pen.line(corners, fill=LANE, width=max(round(0.009 * 2 * size), 1), joint="curve")
        sheet.disc(*lane[0], 0.011, SOLDER)
        sheet.disc(*lane[0], 0.005, MASK)
    for v, u in HOLES:
        sheet.disc(v, u, 0.042, GOLD)
        sheet.disc(v, u, 0.028, (60, 60, 64))
    for pad in pads():
        sheet.box(pad, SOLDER)
    print_legend(sheet)
    return sheet.canvas


def pads() -> list[Rectangle]:
    """All the solder pads."""
    ends = [end for passive in PASSIVES for end in passive.terminals(1.15)]
    return ends + [leg for chip in CHIPS for leg in chip.legs()]


def print_legend(sheet: Sheet) -> None:
    """The white print: outlines and names."""
    line = max(sheet.canvas.width // 256, 1)
    for chip in CHIPS:
        b = chip.body
        sheet.box(Rectangle(b.v, b.u, b.height + 0.07, b.width + 0.07), SILK, outline=line)
    for number, passive in enumerate(PASSIVES):
        b = passive.body
        sheet.box(Rectangle(b.v, b.u, b.height + 0.03, b.width + 0.05), SILK, outline=line)
        sheet.text(b.v - b.height / 2 - 0.036, b.u - 0.02, 0.022, f"R{number + 1}", SILK)
    sheet.text(0.045, -0.42, 0.05, "OG-1", SILK)


def assemble(sheet: Sheet, rng: np.random.Generator) -> None:
    """Solder every component on."""
    for passive in PASSIVES:
        solder_passive(sheet, passive, rng)
    for chip in CHIPS:
        solder_chip(sheet, chip, rng)
    b = Rectangle(0.385, 0.0, 0.06, 0.68)
    sheet.box(b, (12, 40, 28), 0.010)
    sheet.box(b, (30, 30, 33))
    for pin in HEADER:
        sheet.box(pin, GOLD)
        sheet.box(Rectangle(pin.v, pin.u, 0.014, 0.014), (240, 222, 168), -0.004)


def solder_passive(sheet: Sheet, passive: Passive, rng: np.random.Generator) -> None:
    """A resistor, capacitor or LED with its shadow."""
    dv, du = rng.normal(0, 0.0015, 2).clip(-0.004, 0.004)
    shade = rng.normal(1, 0.05)
    b = passive.body
    moved = Passive(Rectangle(b.v + dv, b.u + du, b.height, b.width), passive.colour)
    sheet.box(moved.body, (10, 44, 30), 0.008)
    for end in moved.terminals():
        sheet.box(end, scaled((196, 198, 198), shade))
    sheet.box(moved.body, scaled(passive.colour, shade))
    top = Rectangle(b.v + dv - 0.3 * b.height, b.u + du, 0.14 * b.height, 0.8 * b.width)
    sheet.box(top, scaled(passive.colour, 1.35 * shade))


def solder_chip(sheet: Sheet, chip: Chip, rng: np.random.Generator) -> None:
    """An integrated circuit with its legs, its first-pin mark and its label."""
    b = chip.body
    sheet.box(Rectangle(b.v, b.u, b.height + 0.02, b.width + 0.02), (10, 48, 32), 0.010)
    for leg in chip.legs():
        sheet.box(leg, scaled((204, 204, 200), rng.normal(1, 0.05)))
    grey = int(rng.normal(44, 2))
    sheet.box(b, (grey, grey, grey + 3))
    sheet.box(Rectangle(b.v - b.height / 2 + 0.006, b.u, 0.008, b.width - 0.01), (74, 74, 78))
    sheet.disc(b.v - b.height / 2 + 0.03, b.u - b.width / 2 + 0.03, 0.010, (24, 24, 26))
    sheet.text(b.v - 0.03, b.u - 0.05, 0.055, chip.label, (128, 128, 126))


def scaled(colour: Colour, factor: float) -> Colour:
    """A brighter or darker colour."""
    red, green, blue = (min(round(channel * factor), 255) for channel in colour)
    return red, green, blue


def laid(sheet: Image.Image, pose: Pose, size: int) -> np.ndarray:
    """The flat drawing as it lies under the camera, float32 (S, S, 3) in 0..1."""
    scale = sheet.width / size / pose.zoom / SIDE
    cos, sin = np.cos(pose.angle) * scale, np.sin(pose.angle) * scale
    dy, dx = (0.5 + pose.dy) * size, (0.5 + pose.dx) * size
    across = (cos, sin, sheet.width / 2 - cos * dx - sin * dy)
    down = (-sin, cos, sheet.width / 2 - cos * dy + sin * dx)
    turned = sheet.transform(
        (size, size), Image.Transform.AFFINE, (*across, *down), Image.Resampling.BILINEAR
    )
    return np.asarray(turned, dtype=np.float32) / 255


def sites(pose: Pose) -> tuple[Site, ...]:
    """The components that can be missing, and the gaps that solder can bridge."""
    parts = [(p.body, "component", 0.03) for p in PASSIVES]
    legs = [chip.legs() for chip in CHIPS]
    gaps = [
        (Rectangle((a.v + b.v) / 2, (a.u + b.u) / 2, abs(a.v - b.v), abs(a.u - b.u)), "gap", 0.024)
        for row in legs
        for a, b in zip(row[:-1], row[1:], strict=True)
        if abs(a.v - b.v) + abs(a.u - b.u) < 0.06
    ]
    return tuple(
        Site(
            kind,
            pose.image(area.v * SIDE, area.u * SIDE),
            (area.height + margin) * SIDE,
            (area.width + margin) * SIDE,
            pose.angle,
        )
        for area, kind, margin in parts + gaps
    )


def missing_component(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Pads without their component."""
    site = scene.pick(rng, "component")
    return paint(scene.image, scene.beneath, cover(site.distance(scene.size)))


def skewed_component(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A component turned away from its pads, or soldered on one end only."""
    site, size = scene.pick(rng, "component"), scene.size
    bare = paint(scene.image, scene.beneath, cover(site.distance(size)))
    turn = rng.choice((-1, 1)) * rng.uniform(0.5, 1.3)
    y, x = frame(size)
    v, u = Pose(turn, 1.0, 0, 0).part(y - site.centre[0], x - site.centre[1])
    rows = np.clip((v + site.centre[0] + 0.5) * size, 0, size - 1).astype(np.intp)
    columns = np.clip((u + site.centre[1] + 0.5) * size, 0, size - 1).astype(np.intp)
    inner = Site(site.kind, site.centre, site.height - 0.025, site.width - 0.008, site.angle + turn)
    return paint(bare, scene.image[rows, columns], cover(inner.distance(size)))


def solder_bridge(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Solder that joins two neighbouring legs of a chip."""
    site, size = scene.pick(rng, "gap"), scene.size
    radius = rng.uniform(0.022, 0.032)
    drop = cover(blob(rng, size, site.centre, radius, 0.12))
    form = relief(0.012 * soften(drop, 0.012), gloss=0.4)
    shaded = scene.image * (1 - 0.5 * shadow(drop, 0.008))[..., None]
    return paint(shaded, np.clip(rgb(0.70, 0.71, 0.72) * form[..., None], 0, 1), drop)


def flux_residue(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """White, grainy remains of flux."""
    size = scene.size
    distance = blob(rng, size, place(scene, rng), rng.uniform(0.045, 0.10), 0.25)
    grain = fractal_noise(rng, size, size, scale=size * 0.03)
    depth = cover(distance, 4) * np.clip(0.35 + 0.8 * grain, 0, 1) * rng.uniform(0.7, 0.95)
    return paint(scene.image, rgb(0.80, 0.80, 0.74), depth)


def cut_lane(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """A gouge through mask and copper: the fibreglass shows."""
    gouge = line(scene, rng, length=(0.12, 0.30), width=(0.018, 0.028), bend=0.08)
    glass = rgb(0.86, 0.82, 0.62) * relief(-soften(gouge, 0.004) * 0.008)[..., None]
    return paint(scene.image, np.clip(glass, 0, 1), 0.9 * gouge)


BOARD = Product(
    draw,
    {
        "cut-lane": cut_lane,
        "fibre": fibre,
        "flux-residue": flux_residue,
        "missing-component": missing_component,
        "particle": particle,
        "skewed-component": skewed_component,
        "solder-bridge": solder_bridge,
    },
)
