"""What a machine could do at most: decode, resize and infer on each core, without HTTP."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from onegauge.service.imaging.image import read_image
from onegauge.service.model.backends.onnx import compile_model

SIZE = (256, 256)


def limit(model: Path, image: bytes, seconds: float) -> dict[str, float]:
    """Of all cores without HTTP, a thread and a session's thread for each.

    Images a second are `rate`, seconds of the CPU for an image `cpu_s`.
    """
    run = compile_model(model, 0).beside
    started = time.process_time()
    deadline = time.monotonic() + seconds

    def work() -> int:
        count = 0
        while time.monotonic() < deadline:
            run(read_image(image, SIZE, max_pixels=10**8).pixels[None])
            count += 1
        return count

    threads = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(threads) as pool:
        images = sum(f.result() for f in [pool.submit(work) for _ in range(threads)])
    return {"rate": images / seconds, "cpu_s": (time.process_time() - started) / images}
