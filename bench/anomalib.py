"""A detector of anomalib, the same one here, and our default one: training, time, accuracy.

    python -m bench.anomalib DATA WEIGHTS [--detector revdist]

DATA is a tree of products, of each of which so many training images are taken, evenly; WEIGHTS are
those of a ResNet18. anomalib, in an environment of its own, trains as its engine does and is asked
by its own inferencers; here runs are exported and asked as the gateway's embedded backend asks,
those that keep memories in int8 as well. One image after the other, from the file to the score,
with all cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import numpy as np
import typer
from sklearn.metrics import roc_auc_score

from bench.support.figures import keep
from bench.support.servers import ROOT, peer_python
from onegauge.service.imaging.image import read_image
from onegauge.service.model.backends.embedded import Run
from onegauge.service.model.backends.onnx import compile_model
from onegauge.service.model.repository import served_version
from onegauge.training.backbones.backbone import load_backbone
from onegauge.training.config import FitOptions, TrainConfig
from onegauge.training.data.corpus import read_corpus
from onegauge.training.data.dataset import test_images, training_images, training_selection
from onegauge.training.detectors import DETECTORS
from onegauge.training.progress import Progress
from onegauge.training.resume import open_state

SIZE = (256, 256)
OURS = "gallery"  # our default detector
IN_INT8 = {"gallery", "patchcore"}  # whose networks are not trained
FEW = 4
PER_PRODUCT, TESTED = 25, 400  # images
EPOCHS = 1
BLOCK = 40  # images that each is asked in turn
T = TypeVar("T")
TORCH = ("torch==2.14.1", "torchvision==0.29.1", "safetensors")


def main(
    data: Path,
    weights: Path,
    detector: str = "patchcore",
    bank: int = 10_000,
) -> None:
    """Train both, ask all, print and keep the figures."""
    data, weights = data.resolve(), weights.resolve()
    chosen = [file for of in by_product(data).values() for file in spread_over(of, PER_PRODUCT)]
    labelled = spread_over(test_images(data), TESTED)
    anomalous = [image.anomalous for image in labelled]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        figures: dict[str, Any] = {"training images": len(chosen), "bank": bank}
        there = train_anomalib(home, detector, chosen, weights, EPOCHS, bank)
        link_images(home / "here", chosen, data)
        options = ["--bank-size", bank, "--epochs", EPOCHS]
        trained = {
            kind: train_here(home, kind, weights, options)
            for kind in dict.fromkeys([detector, OURS])
        }
        for kind in trained.keys() & IN_INT8:
            export_here(home, kind, f"{kind}-int8", "--precision", "int8")
        rate = epoch_here(home, detector, weights)
        figures |= {
            "anomalib trains, s": round(there["seconds"], 1),
            **{f"onegauge {kind} trains, s": round(of, 1) for kind, of in trained.items()},
            "anomalib, images/s of an epoch": round(there["epoch_images_per_s"], 1),
            "onegauge, images/s of an epoch": round(rate, 1),
        }
        asked = take_turns(home, [image.path for image in labelled])
    rows: dict[str, dict[str, float]] = {}
    for who, (scores, seconds) in asked.items():
        ratio = median(asked["anomalib openvino"][1]) / median(seconds)
        rows[who] = {
            "ms": round(1000 * median(seconds), 1),
            "of_anomalib_openvino": round(ratio, 2),
            "pooled_auroc": round(100 * roc_auc_score(anomalous, scores), 2),
        }
    figures |= {"speed_of_anomalib": speed(rows, detector), **rows}
    sys.stdout.write("\n".join(f"{who}: {told}" for who, told in figures.items()) + "\n")
    keep(f"anomalib {detector}", figures)


def speed(rows: dict[str, dict[str, float]], detector: str) -> float:
    """Of anomalib's fastest inferencer, in the fastest precision that ranks no worse; 0 if none."""
    there = min((row for who, row in rows.items() if "anomalib" in who), key=lambda row: row["ms"])
    here = [row for who, row in rows.items() if who.startswith(f"onegauge {detector}")]
    as_good = [row["ms"] for row in here if row["pooled_auroc"] >= there["pooled_auroc"]]
    return round(there["ms"] / min(as_good), 2) if as_good else 0.0


def spread_over(items: list[T], count: int) -> list[T]:
    """So many of them, evenly: pictures taken one after the other are much alike."""
    return [items[i] for i in np.linspace(0, len(items) - 1, min(count, len(items))).astype(int)]


def by_product(data: Path) -> dict[str, list[Path]]:
    """Training images of each product."""
    products: dict[str, list[Path]] = {}
    for file in training_images(data):
        products.setdefault(file.relative_to(data).parts[0], []).append(file)
    return products


def peer(*arguments: object) -> dict[str, Any]:
    """One command of anomalib's environment."""
    python = peer_python("anomalib[openvino]==2.7.0", *TORCH)
    script = ROOT / "bench" / "peers" / "anomalib_runs.py"
    with tempfile.TemporaryDirectory() as folder:  # OpenVINO's cache is left where it runs
        done = subprocess.run(
            [python, script, *map(str, arguments)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def train_anomalib(
    home: Path, detector: str, files: list[Path], weights: Path, epochs: int, bank: int
) -> dict[str, float]:
    """Seconds, and images a second of an epoch."""
    for folder, chosen in (("normal", files), ("few", files[:FEW])):
        (home / "line" / folder).mkdir(parents=True)
        for number, file in enumerate(chosen):
            (home / "line" / folder / f"{number}{file.suffix}").symlink_to(file.resolve())
    out = home / "anomalib"
    return peer("train", detector, home / "line", weights, out, bank, epochs)


def link_images(folder: Path, files: list[Path], data: Path) -> None:
    """A tree of these files of `data`."""
    for file in files:
        place = folder / file.relative_to(data)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file.resolve())


def train_here(home: Path, detector: str, weights: Path, options: list[object]) -> float:
    """Seconds of the command, out-of-fold maps, alignment and calibration included."""
    network = ["--backbone", "resnet18", "--backbone-weights", weights, "--image-size", SIZE[0]]
    start = time.perf_counter()
    onegauge(
        *("train", "--data", home / "here", "--detector", detector, *network, *options),
        *("--false-alarm-rate", "0.05", "--out", home / detector),
    )
    seconds = time.perf_counter() - start
    export_here(home, detector, detector)
    return seconds


def export_here(home: Path, run: str, name: str, *options: str) -> None:
    """Publish a run by a name."""
    told = ("--repository", home / "repository", "--name", name)
    onegauge("export", home / run, *told, *options)


def epoch_here(home: Path, detector: str, weights: Path) -> float:
    """Images a second of what an epoch of anomalib's is: features, or a detector's training."""
    config = TrainConfig(
        home / "here",
        home / "epoch",
        detector,
        "resnet18",
        backbone_weights=weights,
        image_size=SIZE[0],
    )
    backbone = load_backbone("resnet18", config.stages, weights, image_size=config.image_size)
    start = time.perf_counter()
    selection = training_selection(config.data)
    features = read_corpus(selection, config, backbone, open_state(config), Progress()).features
    if detector != "patchcore":
        options = FitOptions(1, config.batch_size, config.bank_size, 0, home / "epoch" / "fit")
        start = time.perf_counter()
        DETECTORS[detector](backbone).fit(features, options, Progress())
    return len(features) / (time.perf_counter() - start)


def onegauge(*arguments: object) -> None:
    """Run a command of ours."""
    command = [sys.executable, "-m", "onegauge", *map(str, arguments)]
    subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.DEVNULL)


def take_turns(home: Path, files: list[Path]) -> dict[str, tuple[list[float], list[float]]]:
    """Scores and seconds of every file by everybody, block by block."""
    models = sorted((home / "repository").iterdir())
    ours = {
        f"onegauge {model.name}": compile_model(served_version(model).model_file(), 0).alone
        for model in models
    }

    def here(run: Run, block: list[Path]) -> dict[str, Any]:
        scores, seconds = [], []
        for file in block:
            start = time.perf_counter()
            pixels = read_image(file.read_bytes(), SIZE, max_pixels=10**8).pixels[None]
            scores.append(float(run(pixels)["score"][0]))
            seconds.append(time.perf_counter() - start)
        return {"scores": scores, "seconds": seconds}

    def there(runtime: str, block: list[Path]) -> dict[str, Any]:
        (home / "files.json").write_text(json.dumps([str(file) for file in block]))
        return peer("infer", home / "anomalib", runtime, home / "files.json")

    asked: dict[str, tuple[list[float], list[float]]] = {}
    for start in range(0, len(files), BLOCK):
        block = files[start : start + BLOCK]
        for who, found in {
            **{who: here(run, block) for who, run in ours.items()},
            "anomalib openvino": there("openvino", block),
            "anomalib torch": there("torch", block),
        }.items():
            scores, seconds = asked.setdefault(who, ([], []))
            scores += found["scores"]
            seconds += found["seconds"][2:]  # the first warm up
    return asked


if __name__ == "__main__":
    typer.run(main)
