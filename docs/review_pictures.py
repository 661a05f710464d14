"""Draw docs/images/review-*.jpg: the pages of /review, each on a wide screen and on a tablet.

    make picture

Rendered products go through a gateway on the bundled model, which keeps records of them, and a
browser shows the pages. It needs Debian's `chromium`.
"""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import sleep

import httpx
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from demo.products import PRODUCTS, render_defective, render_normal
from rig.gateway_process import gateway_process

PARTS, VIEWS = 56, 2  # pictures of each part
DEFECTIVE = 7  # every so many parts one
NEW = 14  # pictures of a product that the model does not know
SIDE = 256  # pixels
QUALITY = 72


@dataclass(frozen=True)
class Screen:
    """How somebody looks."""

    width: int
    height: int
    scheme: str
    locale: str


SCREENS = (Screen(1280, 800, "light", "en-GB"), Screen(768, 1024, "dark", "de-DE"))


def main(repository: Path, folder: Path) -> None:
    """Write the pictures into `folder`, with the model `onegauge` of `repository`."""
    with TemporaryDirectory() as place:
        settings = {
            "ONEGAUGE_API_KEYS": "off",
            "ONEGAUGE_RECORDS": f"sqlite:///{place}/records.db",
            "ONEGAUGE_KEEP": "all",
        }
        own = Path(shutil.copytree(repository, Path(place) / "repository"))  # which is taught
        with gateway_process(own, **settings) as gateway:
            inspection = run_a_line(gateway.url)
            pages = {
                "queue": f"?order=newest&decision=anomalous&judged={inspection}",
                "print": f"/{inspection}/print",
                "lines": "/lines",
                "threshold": "/threshold?threshold=0.4",
                "references": "/references",
                "suspects": "/references?by=suspicion",
                "login": "/login",
            }
            with sync_playwright() as playwright:
                options = ["--no-sandbox"] if os.geteuid() == 0 else []
                browser = playwright.chromium.launch(
                    executable_path="/usr/bin/chromium", args=options
                )

                def shoot_all(name: str, path: str) -> None:
                    for screen in SCREENS:
                        file = folder / f"review-{name}-{screen.width}.jpg"
                        shoot(browser, f"{gateway.url}/review{path}", screen, file)

                for name, path in pages.items():
                    shoot_all(name, path)
                strange = see_a_new_product(gateway.url)
                shoot_all("unknown", "/unknown")
                propose(gateway.url, strange)
                shoot_all("teach", "/teach")
                browser.close()


def run_a_line(url: str) -> str:
    """Have two lines inspect parts, and somebody judge some; returns the id of one judged."""
    with httpx.Client(base_url=url, timeout=60) as gateway:
        found = []
        for number in range(PARTS * VIEWS):
            part = number // VIEWS
            options = {"part": f"47{part:02}", "views": VIEWS, "line": f"press-{3 + part % 2}"}
            files = {"image": (f"view-{number % VIEWS}.jpg", picture(part, number))}
            answer = gateway.post("/inspect", params=options, files=files).raise_for_status()
            found += answer.json()["results"]
        *_, nearest = sorted(one["score"] for one in found if one["decision"] == "normal")
        for one in found:
            if nearest <= one["score"] < 2:
                verdict = "missed" if one["decision"] == "normal" else "false_alarm"
                path = f"/v1/inspections/{one['inspection']}/verdict"
                gateway.put(path, json={"verdict": verdict, "by": "Anna"}).raise_for_status()
        *_, other, chosen, _ = [one["inspection"] for one in found if one["regions"]]
        told = {"verdict": "confirmed", "by": "Anna", "note": "goes back to the press shop"}
        gateway.put(f"/v1/inspections/{chosen}/verdict", json=told).raise_for_status()
        told = {"verdict": "unclear", "by": "Ben", "note": "burr or scratch?"}
        gateway.put(f"/v1/inspections/{other}/verdict", json=told).raise_for_status()
        return str(chosen)


def see_a_new_product(url: str) -> list[str]:
    """Have a line see one that the model does not know; ids of the inspections."""
    found = []
    with httpx.Client(base_url=url, timeout=60) as gateway:
        for number in range(NEW):
            pixels = render_normal("cap", np.random.default_rng([13, number]), SIDE)
            files = {"image": (f"{number}.jpg", encoded(255 - pixels))}
            answer = gateway.post("/inspect", params={"part": f"48{number:02}"}, files=files)
            found += answer.raise_for_status().json()["results"]
    return [one["inspection"] for one in found]


def propose(url: str, strange: Sequence[str]) -> None:
    """Have most images of a new product learnt, by the forms of the page, and wait for that."""
    headers = {"Origin": url}
    with httpx.Client(base_url=url, timeout=60, headers=headers, follow_redirects=True) as page:
        taken = {f"take-{inspection}": "on" for inspection in strange[:-3]}
        said = {"kind": "new_product", "product": "dark cap", "by": "Anna"}
        page.post("/review/unknown", data={**taken, **said}).raise_for_status()
        page.post("/review/teach/propose", data={"by": "Ben"}).raise_for_status()
        while "data-again" in page.get("/review/teach").text:
            sleep(1)


def picture(part: int, number: int) -> bytes:
    """A picture of a part, one view of which shows its defect, if it has one."""
    product = list(PRODUCTS)[part % len(PRODUCTS)]
    generator = np.random.default_rng([11, number])
    defective = part % DEFECTIVE == 1 and number % VIEWS == 0
    if defective:
        pixels = render_defective(product, generator, SIDE)[0]
    else:
        pixels = render_normal(product, generator, SIDE)
    return encoded(pixels)


def encoded(pixels: np.ndarray) -> bytes:
    """A file of a picture (S, S, 3)."""
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, subsampling=0)  # as the model knows them
    return file.getvalue()


def shoot(browser: Browser, url: str, screen: Screen, file: Path) -> None:
    """Write what a screen shows of a page."""
    size = {"width": screen.width, "height": screen.height}
    context = browser.new_context(
        viewport=size,
        color_scheme=screen.scheme,
        locale=screen.locale,
        timezone_id="Europe/Berlin",
    )
    page = context.new_page()
    for _ in range(2):  # from the second time on in the browser's own time
        page.goto(url, wait_until="load")
        page.wait_for_timeout(1500)
    page.screenshot(path=file, type="jpeg", quality=QUALITY)
    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
