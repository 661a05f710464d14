"""What a product is, and how its pictures are taken, flawless and defective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_closing

from demo.products.camera import Camera
from demo.products.geometry import Pose, box, frame

NOTICEABLE = 10  # grey levels between the pictures with and without the defect
PLAIN = 40  # grey levels that a defect's strongest tenth exceeds
AREA = (0.003, 0.08)  # of the image
ATTEMPTS = 40


@dataclass(frozen=True)
class Site:
    """A feature that can be wrong by itself, such as a tablet or a resistor."""

    kind: str
    centre: tuple[float, float]  # y, x
    height: float
    width: float
    angle: float = 0.0

    def frame(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The site's own (v, u) of each pixel, each (S, S)."""
        return Pose(self.angle, 1.0, *self.centre).part(*frame(size))

    def distance(self, size: int) -> np.ndarray:
        """Signed distance (S, S) to its outline, a rectangle."""
        return box(*self.frame(size), self.height, self.width, 0.0)


@dataclass(frozen=True)
class Scene:
    """A flawless part under the lamp."""

    image: np.ndarray  # (S, S, 3) float32, 0..1
    beneath: np.ndarray  # (S, S, 3) what shows where the part, or one of its sites, is missing
    surface: np.ndarray  # (S, S) 1 on the part
    sites: tuple[Site, ...] = ()

    @property
    def size(self) -> int:
        """Side of the image in pixels."""
        return len(self.image)

    def pick(self, rng: np.random.Generator, kind: str) -> Site:
        """One of the sites of this kind at random."""
        sites = [site for site in self.sites if site.kind == kind]
        return sites[int(rng.integers(len(sites)))]


Defect = Callable[[Scene, np.random.Generator], np.ndarray]  # the damaged image (S, S, 3)


@dataclass(frozen=True)
class Product:
    """A product of the line: how to draw a flawless part, and what can go wrong with it."""

    draw: Callable[[np.random.Generator, int], Scene]
    defects: Mapping[str, Defect]

    def normal(self, rng: np.random.Generator, size: int) -> np.ndarray:
        """A picture uint8 (S, S, 3) of a flawless part."""
        part, light, _ = rng.spawn(3)
        camera = Camera.draw(light, size)
        return camera.develop(camera.expose(self.draw(part, size).image))

    def defective(
        self, rng: np.random.Generator, size: int, defect: str | None = None
    ) -> tuple[np.ndarray, np.ndarray, str]:
        """The picture that `normal` takes from the same generator, with one defect.

        Without `defect` a random one. Returns the image uint8 (S, S, 3), the mask uint8 (S, S),
        255 where the defect changed the picture noticeably, and the name of the defect.
        """
        part, light, fate = rng.spawn(3)
        camera, scene = Camera.draw(light, size), self.draw(part, size)
        name = defect or str(fate.choice(list(self.defects)))
        exposed, mask = damage(scene, camera, self.defects[name], fate)
        return camera.develop(exposed), mask, name


def damage(
    scene: Scene, camera: Camera, defect: Defect, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw the defect until an inspector would see it; the noise-free picture and the mask."""
    flawless = camera.expose(scene.image)
    for _ in range(ATTEMPTS):
        exposed = camera.expose(defect(scene, rng))
        change = np.abs(exposed - flawless).max(axis=-1)  # (S, S)
        noticed = change > NOTICEABLE
        # closing erodes at the image's border, the union keeps what was there
        mask = noticed | binary_closing(noticed, np.ones((3, 3)))
        plain = mask.any() and np.quantile(change[mask], 0.9) > PLAIN
        if plain and AREA[0] <= mask.mean() <= AREA[1]:
            return exposed, mask.astype(np.uint8) * 255
    raise RuntimeError(f"{defect.__name__} stayed invisible at {scene.size} px: take a larger size")
