"""Very many images by Ray, beside a gateway and beside the bare loop, in one run.

    python -m bench.bulk

bare     a process for each core that reads, decodes and infers, and does nothing else
ray      `onegauge inspect --engine ray`
gateway  `onegauge inspect`, sent to a gateway of the same model

They take turns, round by round, over the same files: hard links to rendered products. A rate is
that of the whole command with its start. `steady` leaves the start out, which is that of one image.
Of Ray's driver it tells the CPU for an image, which bounds how many machines it can feed, and the
most memory. `taskset -c 0` before it measures all of them on one core. --listed tells by how much
the memory of a driver grows that lists so many files. --scaled has so many images inspected by
clusters of one, two and four machines of one core each, which all are processes of this machine,
beside as many bare loops: four machines on two cores show what more processes than cores cost.
0 for --images, --listed or --scaled leaves that part out, with the figures that are kept of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import typer

from bench.support.figures import keep, spread
from bench.support.servers import Running, Served, server
from demo.products.tree import write_tree
from rig.ray_cluster import ray_cluster

MACHINES = 1, 2, 4
LOOK_EVERY_S = 0.05
Figures = dict[str, float]
LISTING = """
import resource, sys, time
from onegauge.bulk.output import Done
from onegauge.bulk.source import paths_below

before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
files = paths_below(sys.argv[1], Done()).num_rows
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(files, grown / 1024, time.monotonic() - begun)
"""


def main(images: int = 20_000, rounds: int = 3, listed: int = 100_000, scaled: int = 2_000) -> None:
    """Measure what has images, print a table, keep the figures of each."""
    if 1 in (images, scaled):
        sys.exit("One image has no rate: say two or more, or 0 to leave its part out.")
    # by default Ray lets other processes go first, which the others here do not
    os.environ.update(RAY_worker_niceness="0")
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        rendered = list(_rendered(Path(folder) / "rendered"))

        def linked(part: str, count: int) -> Path:
            return _linked(Path(folder) / part, rendered, count)

        one = linked("one", 1)
        if images:
            keep(f"bulk on {cores} cores", _ways(linked("parts", images), one, images, rounds))
        if listed:
            keep("listing for bulk", _listing(linked("listed", listed)))
        if scaled:
            several = linked("scaled", scaled)
            machines = {str(number): _scaling(several, one, number) for number in MACHINES}
            keep(f"machines of bulk on {cores} cores", machines)


def _ways(parts: Path, one: Path, images: int, rounds: int) -> dict[str, Any]:
    """All of them, round by round and each second round the other way."""
    with server("onegauge", Served()) as gateway:
        ways = {
            "bare": _bare,
            "ray": _ray,
            "gateway": lambda parts: _gateway(parts, gateway.url),
        }
        starts = {name: way(one) for name, way in ways.items()}
        measured: dict[str, list[Figures]] = {name: [] for name in ways}
        for number in range(rounds):
            for name in sorted(ways, reverse=bool(number % 2)):
                measured[name].append(ways[name](parts))
    return report(measured, starts, images)


def report(
    measured: dict[str, list[Figures]], starts: dict[str, Figures], images: int
) -> dict[str, Any]:
    """Medians over the rounds, the ratio to the bare loop of the same round first."""
    rows: dict[str, Any] = {}
    sys.stdout.write("of the bare loop        images/s   steady  start s\n")
    for name, rounds in measured.items():
        pairs = zip(rounds, measured["bare"], strict=True)
        ratios = [bare["seconds"] / found["seconds"] for found, bare in pairs]
        seconds, start = median(found["seconds"] for found in rounds), starts[name]["seconds"]
        rates = {"rate": images / seconds, "steady": (images - 1) / (seconds - start)}
        rows[name] = {"of_bare": spread(ratios), **rates, "start_s": start}
        rows[name] |= {k: median(r[k] for r in rounds) for k in rounds[0] if k != "seconds"}
        shown = "{median:.3f} ({lowest:.3f} to {highest:.3f})".format(**rows[name]["of_bare"])
        told = f"{rates['rate']:9.1f}{rates['steady']:9.1f}{start:9.1f}"
        sys.stdout.write(f"{shown}  {told}  {name}\n")
    spent = rows["ray"]["cpu_s"] - starts["ray"]["cpu_s"]
    rows["ray"]["driver_ms"] = 1000 * spent / (images - 1)
    sys.stdout.write(
        "Ray's driver: {driver_ms:.3f} ms an image, {mib:.0f} MiB\n".format(**rows["ray"])
    )
    return rows


def _rendered(folder: Path) -> Iterator[Path]:
    write_tree(folder, train=20, test_good=0, test_defective=0, seed=0, size=256)
    return folder.rglob("*.jpg")


def _linked(folder: Path, files: list[Path], count: int) -> Path:
    """A folder of so many links, a thousand in each folder below."""
    for number, file in enumerate(islice(cycle(files), count)):
        below = folder / f"{number // 1000}"
        below.mkdir(parents=True, exist_ok=True)
        (below / f"{number}.jpg").hardlink_to(file)
    return folder


def _bare(parts: Path, processes: int = len(os.sched_getaffinity(0))) -> Figures:
    begun, files = time.monotonic(), sorted(parts.rglob("*.jpg"))
    with get_context("spawn").Pool(processes) as pool:
        pool.map(_loop, [files[number::processes] for number in range(processes)], chunksize=1)
    return {"seconds": time.monotonic() - begun}


def _loop(files: list[Path]) -> None:
    from onegauge.service.imaging.image import read_image
    from onegauge.service.model.backends.onnx import compile_model

    run = compile_model(Served().file, 1).alone
    for file in files:
        run(read_image(file.read_bytes(), (256, 256), max_pixels=10**8).pixels[None])


def _ray(parts: Path, *options: str) -> Figures:
    with tempfile.TemporaryDirectory(dir=".") as output:
        by = ("--engine", "ray", "--model", Served.repository, "--output", output)
        return _command("inspect", parts, *by, *options)


def _scaling(parts: Path, one: Path, machines: int) -> Figures:
    """Images a second of so many machines of one core and of as many bare loops, once they run."""
    images = sum(1 for _ in parts.rglob("*.jpg"))

    def rate(way: Callable[[Path], Figures]) -> float:
        start = way(one)["seconds"]
        return (images - 1) / (way(parts)["seconds"] - start)

    with ray_cluster(cpus=1) as cluster:
        for _ in range(machines - 1):
            cluster.add_node(num_cpus=1)
        cluster.wait_for_nodes()
        by_ray = rate(lambda parts: _ray(parts, "--address", cluster.address))
    bare = rate(lambda parts: _bare(parts, machines))
    sys.stdout.write(f"{by_ray:9.1f} images/s by {machines} machines of one core, ")
    sys.stdout.write(f"{by_ray / bare:.3f} of {bare:.1f}\n")
    return {"rate": by_ray, "bare": bare, "of_bare": by_ray / bare}


def _gateway(parts: Path, url: str) -> Figures:
    return _command("inspect", parts, "--url", url, "--jsonl", os.devnull)


def _command(*arguments: object) -> Figures:
    """Seconds of a command, its own CPU seconds, and its most memory in MiB."""
    begun, found = time.monotonic(), {"cpu_s": 0.0, "mib": 0.0}
    command = [sys.executable, "-m", "onegauge", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            found = _look(process.pid) or found
            time.sleep(LOOK_EVERY_S)
    if process.returncode == 1:
        sys.exit(f"{command} failed")
    return {"seconds": time.monotonic() - begun, **found}


def _look(pid: int) -> Figures:
    """What a process has taken so far; empty once it ends."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    told = dict(line.split(":", 1) for line in lines)
    if "VmHWM" not in told:
        return {}
    return {"cpu_s": Running("", pid).cpu_s(), "mib": int(told["VmHWM"].split()[0]) / 1024}


def _listing(parts: Path) -> Figures:
    """What a driver's memory grows by when it lists files, in MiB, and the seconds it takes."""
    done = subprocess.run(
        [sys.executable, "-c", LISTING, parts], capture_output=True, text=True, check=True
    )
    files, mib, seconds = map(float, done.stdout.split())
    sys.stdout.write(f"{files:,.0f} files are listed in {seconds:.1f} s and {mib:.0f} MiB\n")
    return {"files": files, "mib": mib, "seconds": seconds}


if __name__ == "__main__":
    typer.run(main)
