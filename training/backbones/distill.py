"""Distil the starter backbone from a ResNet18, on procedural images only.

    python -m onegauge.training.backbones.distill --teacher-weights FILE --out starter.safetensors

The student regresses the teacher's stages 1 to 3 directly, as the student of EfficientAD (Batzner
et al. 2024) does. The loss is the squared error in units of each channel's standard deviation,
plus the cosine distance of the feature vectors.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from onegauge.cores import cores
from onegauge.training.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD, load_backbone
from onegauge.training.backbones.starter import Starter
from onegauge.training.backbones.textures import procedural_image
from onegauge.training.errors import BackboneError
from onegauge.training.progress import Progress

MARGIN = 32  # pixels by which a rendered image is larger than the crop that is trained on


@dataclass(frozen=True)
class Recipe:
    """How the student is trained."""

    images: int = 10000  # rendered once; crops, flips and colours vary
    held_out: int = 512  # rendered beside them and never trained on
    steps: int = 4000
    batch_size: int = 32
    size: int = 128  # side of a crop in pixels
    learning_rate: float = 1.5e-3  # peak of one cosine cycle
    seed: int = 0


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation (1, C, 1, 1) of the teacher's channels, one of each a stage."""

    means: list[Tensor]
    stds: list[Tensor]


def render(recipe: Recipe, folder: Path, progress: Progress) -> np.ndarray:
    """Render the recipe's images into `folder`: uint8 (N, S, S, 3), the last ones held out."""
    total, side = recipe.images + recipe.held_out, recipe.size + MARGIN
    pool = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, (total, side, side, 3))
    generators = [np.random.default_rng((recipe.seed, number)) for number in range(total)]
    spawn = get_context("spawn")  # torch's threads do not survive a fork
    with (
        ProcessPoolExecutor(cores(), mp_context=spawn) as workers,
        progress.step("render", total) as step,
    ):
        images = workers.map(procedural_image, generators, repeat(side), chunksize=32)
        for row, image in enumerate(images):
            pool[row] = image
            step.advance()
    return pool


def distil(teacher: nn.Module, pool: np.ndarray, recipe: Recipe, progress: Progress) -> Starter:
    """A starter that imitates `teacher`, trained on all of `pool` (N, S, S, 3) but its end."""
    torch.manual_seed(recipe.seed)
    training, held_out = pool[: -recipe.held_out], pool[-recipe.held_out :]
    scale = measure_scale(teacher, _whole(held_out, recipe))
    student = _untrained(scale)
    optimizer = torch.optim.AdamW(student.parameters(), recipe.learning_rate)
    warm_up = max(0.05, 1.5 / recipe.steps)  # as a share of all steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, recipe.steps, pct_start=warm_up
    )
    with progress.step("distil", recipe.steps) as step:
        for done, images in enumerate(_batches(training, recipe), 1):
            loss = distance(_features(student, images), _targets(teacher, images), scale)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            step.advance(1, f"loss {loss.item():.4f}")
            if done % max(recipe.steps // 20, 1) == 0:
                fit = explained_variance(student, teacher, _whole(held_out, recipe))
                progress.say(f"step {done}: loss {loss.item():.4f}, R² {_listed(fit)}")
    return student.eval()


def _untrained(scale: Scale) -> Starter:
    student = Starter().to(memory_format=torch.channels_last)
    for head, mean in zip(student.heads, scale.means, strict=True):
        nn.init.zeros_(head.weight)
        head.bias.data.copy_(mean.flatten())  # the best guess before anything is learnt
    return student


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values)


def distance(student: Sequence[Tensor], teacher: Sequence[Tensor], scale: Scale) -> Tensor:
    """Standardised squared error plus cosine distance, mean over the stages."""
    loss = torch.zeros(())
    for s, t, mean, std in zip(student, teacher, scale.means, scale.stds, strict=True):
        s, t = (s - mean) / std, (t - mean) / std  # (B, C, h, w)
        ss, st, tt = (torch.linalg.vecdot(a, b, dim=1) for a, b in ((s, s), (s, t), (t, t)))
        error = (ss - 2 * st + tt) / s.shape[1]  # (B, h, w), as are the dot products
        cosine = st * torch.rsqrt(ss * tt + 1e-6)
        loss = loss + (error + 1 - cosine).mean()
    return loss / len(scale.means)


def measure_scale(teacher: nn.Module, batches: Iterator[Tensor]) -> Scale:
    """The statistics of the teacher's channels over `batches`."""
    maps = zip(*(_targets(teacher, images) for images in batches), strict=True)
    stages = [torch.cat(stage) for stage in maps]
    means = [stage.mean((0, 2, 3), keepdim=True) for stage in stages]
    stds = [stage.std((0, 2, 3), keepdim=True).clamp_min(1e-3) for stage in stages]
    return Scale(means, stds)


@torch.inference_mode()
def explained_variance(
    student: Starter, teacher: nn.Module, batches: Iterator[Tensor]
) -> list[float]:
    """R² of each stage: the mean over channels of the teacher's variance that is explained."""
    pairs = [(_features(student, x), _targets(teacher, x)) for x in batches]
    result = []
    for stage in range(len(student.channels)):
        s = torch.cat([maps[stage] for maps, _ in pairs])
        t = torch.cat([maps[stage] for _, maps in pairs])
        error = (s - t).square().mean((0, 2, 3))
        result.append(float((1 - error / t.var((0, 2, 3)).clamp_min(1e-6)).mean()))
    return result


def _features(network: nn.Module, images: Tensor) -> list[Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        return [stage.float() for stage in network(images)]


@torch.inference_mode()
def _targets(teacher: nn.Module, images: Tensor) -> list[Tensor]:
    return _features(teacher, images)


def _batches(pool: np.ndarray, recipe: Recipe) -> Iterator[Tensor]:
    """One normalised batch (B, 3, size, size) a step, each a new crop, turn and colouring."""
    rng = np.random.default_rng(recipe.seed)
    order = np.empty(0, int)
    for _ in range(recipe.steps):
        if len(order) < recipe.batch_size:
            order = rng.permutation(len(pool))
        rows, order = np.split(order, [recipe.batch_size])
        top, left = rng.integers(0, MARGIN + 1, 2)
        crop = pool[np.sort(rows), top : top + recipe.size, left : left + recipe.size]
        crop = np.rot90(crop, rng.integers(4), (1, 2))[..., rng.permutation(3)]
        gain = rng.uniform(0.7, 1.3, (len(crop), 1, 1, 3)).astype(np.float32)
        yield _normalise(np.clip(crop * gain, 0, 255))


def _whole(pool: np.ndarray, recipe: Recipe) -> Iterator[Tensor]:
    for start in range(0, len(pool), recipe.batch_size):
        yield _normalise(pool[start : start + recipe.batch_size, : recipe.size, : recipe.size])


def _normalise(pixels: np.ndarray) -> Tensor:
    mean, std = (255 * np.array(v, np.float32) for v in (IMAGENET_MEAN, IMAGENET_STD))
    x = torch.from_numpy((pixels - mean) / std)  # (B, H, W, 3)
    return x.permute(0, 3, 1, 2)  # a view in channels-last order


def main() -> None:
    """Parse the command line, train, and write the weights in fp16."""
    parser = _parser()
    args = parser.parse_args()
    if args.images < 1 or args.steps < 2:
        parser.error("--images must be at least 1 and --steps at least 2")
    recipe = Recipe(images=args.images, steps=args.steps, size=args.size, seed=args.seed)
    try:
        teacher = load_backbone("resnet18", (1, 2, 3), args.teacher_weights)
    except BackboneError as exc:
        parser.error(str(exc))
    args.out.parent.mkdir(parents=True, exist_ok=True)  # fails now rather than after the training
    progress = Progress()
    with tempfile.TemporaryDirectory() as folder:
        pool = render(recipe, Path(folder), progress)
        student = distil(teacher.network, pool, recipe, progress)
    save_file({k: v.half().contiguous() for k, v in student.state_dict().items()}, args.out)
    progress.say(f"wrote {args.out}")


def _parser() -> argparse.ArgumentParser:
    default = Recipe()
    parser = argparse.ArgumentParser(
        prog="python -m onegauge.training.backbones.distill", description=__doc__
    )
    parser.add_argument("--teacher-weights", type=Path, required=True, help="timm's resnet18")
    parser.add_argument("--out", type=Path, required=True, help="safetensors file to write")
    parser.add_argument("--images", type=int, default=default.images, help="images to render")
    parser.add_argument("--steps", type=int, default=default.steps)
    parser.add_argument("--size", type=int, default=default.size, help="side of a crop in pixels")
    parser.add_argument("--seed", type=int, default=default.seed)
    return parser


if __name__ == "__main__":
    main()
