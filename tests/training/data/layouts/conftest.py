"""Tiny pictures and masks under the names that a data set gives them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

WIDTH, HEIGHT = 6, 4

Draw = Callable[..., list[Path]]


@pytest.fixture
def draw(tmp_path: Path) -> Draw:
    """Write pictures of one value under the given names."""

    def draw(*names: str, value: int = 9) -> list[Path]:
        paths = [tmp_path / name for name in names]
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (WIDTH, HEIGHT), value).save(path)
        return paths

    return draw


@pytest.fixture
def mark(tmp_path: Path) -> Callable[[str, int], Path]:
    """Write a mask whose left half has the value, and whose right half is black."""

    def mark(name: str, value: int = 255) -> Path:
        pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
        pixels[:, : WIDTH // 2] = value
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return mark
