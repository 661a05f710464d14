"""The camera over the line: uneven light, exposure, focus, sensor noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from demo.products.geometry import frame


@dataclass(frozen=True)
class Camera:
    """The state of light and camera at one picture."""

    gain: np.ndarray  # (S, S, 3) illumination and white balance
    focus: float  # standard deviation of the blur, in pixels
    noise: np.ndarray  # (S, S, 3) standard normal

    @classmethod
    def draw(cls, rng: np.random.Generator, size: int) -> Camera:
        """A picture's light and focus, varying as they do within a shift."""
        y, x = frame(size)
        slope_y, slope_x = rng.normal(-0.06, 0.03, 2).tolist()
        falloff = rng.uniform(0.10, 0.22)
        light = 1 + slope_y * y + slope_x * x - falloff * (x**2 + y**2)
        balance = rng.normal(1, 0.03) * (1 + rng.normal(0, 0.004, 3))
        gain = light[..., None] * np.float32(255 * balance)
        focus = rng.uniform(0.5, 0.8) * size / 256
        return cls(gain, focus, rng.standard_normal((size, size, 3), dtype=np.float32))

    def expose(self, scene: np.ndarray) -> np.ndarray:
        """The noise-free picture float32 (S, S, 3), 0..255, of a scene (S, S, 3), 0..1."""
        rows = gaussian_filter1d(scene * self.gain, self.focus, axis=0, truncate=3)
        return np.clip(gaussian_filter1d(rows, self.focus, axis=1, truncate=3), 0, 255)

    def develop(self, exposed: np.ndarray) -> np.ndarray:
        """The picture uint8 (S, S, 3) with shot and read-out noise."""
        deviation = np.sqrt(1.2 + 0.02 * exposed)
        return np.clip(exposed + deviation * self.noise + 0.5, 0, 255).astype(np.uint8)
