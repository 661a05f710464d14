"""What becomes of a promise when light, lens or place change, and what mends it.

    python -m bench.recalibration DATA REPOSITORY OUT

asks the served version of the model `onegauge`, which was trained on DATA, a tree <product>/train
and <product>/test, about the test images, each changed in the same way. Of the normal ones FRESH
are drawn DRAWS times to recalibrate on; the others measure. The first FRESH drawn are added to the
references, too, instead. Then COPIES of the training images in other light are added, which nobody
need take. The gauges of that lie in OUT. Prints one JSON object a gauge and change: the shares of
false alarms and of misses, in percent, at each rate that is promised.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import typer
from PIL import Image, ImageEnhance, ImageFilter

from onegauge.library.conformal import calibrated
from onegauge.library.fit import Fit
from onegauge.service.imaging.image import read_image
from onegauge.teach.add import add
from onegauge.teach.recalibrate import score_bare
from onegauge.teach.target import Target, target_of
from onegauge.training.choice import NO_CHOICE
from onegauge.training.data.dataset import TestImage, training_images
from onegauge.training.data.dataset import test_images as labelled_images

NAME = "onegauge"
FRESH, DRAWS = 100, 20
COPIES = 300
JITTER = 0.2
RATES = (0.01, 0.05)
TURN = 2.0  # degrees
BLUR = 2.0  # pixels, the standard deviation
ROOM = 16  # pixels around a picture that is turned

Change = Callable[[Image.Image], Image.Image]


def brighter(factor: float) -> Change:
    """All pixels times a factor."""
    return lambda image: ImageEnhance.Brightness(image).enhance(factor)


def harder(factor: float) -> Change:
    """The distances of pixels to the mean grey times a factor."""
    return lambda image: ImageEnhance.Contrast(image).enhance(factor)


def turned(image: Image.Image) -> Image.Image:
    """The picture turned a little; what comes in from outside repeats its edges."""
    wide = np.pad(np.asarray(image), ((ROOM, ROOM), (ROOM, ROOM), (0, 0)), "edge")
    turn = Image.fromarray(wide).rotate(TURN, Image.Resampling.BICUBIC)
    return turn.crop((ROOM, ROOM, ROOM + image.width, ROOM + image.height))


CHANGES: dict[str, Change] = {
    "as it was": lambda image: image,
    "brightness +20 %": brighter(1.2),
    "brightness -20 %": brighter(0.8),
    "contrast +20 %": harder(1.2),
    "contrast -20 %": harder(0.8),
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(BLUR)),
    "turn": turned,
}
LIGHT = ("as it was", "brightness +20 %", "brightness -20 %")


def main(data: Path, repository: Path, out: Path) -> None:
    """Measure the gauge as it is, with fresh images added, and with copies in other light."""
    images = labelled_images(data)
    pixels = {}
    for name, change in CHANGES.items():
        pixels[name] = _read(images, change, target_of(repository, NAME))
        found = _rates(target_of(repository, NAME), pixels[name], images)
        _tell("as it is", name, found)
    normal = [image.path for image in images if not image.anomalous]
    fresh = [normal[row] for row in _drawn(0, len(normal))[:FRESH]]
    others = np.array([image.path not in fresh for image in images])
    for name, change in CHANGES.items():
        target = _taught(repository, out / name, dict.fromkeys(fresh, change))
        kept = [image for image, other in zip(images, others, strict=True) if other]
        _tell("fresh images added", name, _rates(target, pixels[name][others], kept))
    rng, trained = np.random.default_rng(0), training_images(data)
    chosen = [trained[row] for row in rng.permutation(len(trained))[:COPIES]]
    light = {path: brighter(rng.uniform(1 - JITTER, 1 + JITTER)) for path in chosen}
    target = _taught(repository, out / "copies", light)
    for name in LIGHT:
        _tell("copies added", name, _rates(target, pixels[name], images))


def _tell(gauge: str, change: str, found: dict[str, object]) -> None:
    typer.echo(json.dumps({"gauge": gauge, "change": change, **found}))


def _taught(repository: Path, folder: Path, images: dict[Path, Change]) -> Target:
    """The gauge in a copy of a repository, with some images added, each changed."""
    shutil.copytree(repository, folder / "repository")
    (folder / "images").mkdir()
    for number, (path, change) in enumerate(images.items()):
        picture = change(Image.open(path).convert("RGB"))
        picture.save(folder / "images" / f"{number:04}.png")
    gauge = target_of(folder / "repository", NAME)
    add(gauge, folder / "images", None, NO_CHOICE)
    return target_of(folder / "repository", NAME)


def _drawn(seed: int, images: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(images)


def _read(images: list[TestImage], change: Change, target: Target) -> np.ndarray:
    """The images (N, H, W, 3), each changed as a camera would, before it is made smaller."""
    size = (target.image_size, target.image_size)

    def one(path: Path) -> np.ndarray:
        file = BytesIO()
        change(Image.open(path).convert("RGB")).save(file, "PNG", compress_level=1)
        return read_image(file.getvalue(), size, max_pixels=10_000_000).pixels

    return np.stack([one(image.path) for image in images])


def _rates(target: Target, pixels: np.ndarray, images: list[TestImage]) -> dict[str, object]:
    """False alarms and misses, in percent, before and after, and images called unknown."""
    anomalous = np.array([image.anomalous for image in images])
    aligned, novelty = score_bare(target, pixels)
    normal, defective = aligned[~anomalous], aligned[anomalous]
    fit = Fit.of(target.library)
    known = fit.calibrated.scores * fit.calibrated.span + fit.calibrated.origin
    found: dict[str, object] = {
        "unknown": [_percent(novelty[kind] >= 1) for kind in (~anomalous, anomalous)]
    }
    for rate in RATES:
        was = calibrated(known, rate)
        draws = []
        for seed in range(DRAWS):
            order = _drawn(seed, len(normal))
            now = calibrated(normal[order[:FRESH]], rate)
            draws.append([np.mean(now(normal[order[FRESH:]]) >= 1), np.mean(now(defective) < 1)])
        found[f"at {rate:g}"] = {
            "before": [_percent(was(normal) >= 1), _percent(was(defective) < 1)],
            "recalibrated": [_percent(part) for part in zip(*draws, strict=True)],
            "most of the draws": [_percent(max(part)) for part in zip(*draws, strict=True)],
        }
    return found


def _percent(flags: object) -> float:
    return round(100 * float(np.mean(flags)), 1)


if __name__ == "__main__":
    typer.run(main)
