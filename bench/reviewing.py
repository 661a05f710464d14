"""What a review gains: a line before and after what was taught on the review page.

    python -m bench.reviewing OUT

A gateway inspects 3,000 rendered parts of nine products and remembers them. Its model is the
bundled one without its normal images of caps, which are new in the second third of the parts. In
the last one light rises by 20 %. A lot of one product is bad, and one other part in fifty. Somebody
who knows what each part is reviews them by the forms of the page: says what the unknown ones are,
judges what was called anomalous and the normal ones nearest to the threshold, marks what was
missed, has a proposal made, reads its effect and has it served. Another 3,000 such parts are
inspected by the version before and by the one that was taught. Prints for each kind of them how
many decisions of both are wrong, how many parts unknown, and how many decisions differ.
"""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import typer
from PIL import Image

from bench.support.page import Form, Page
from bench.support.servers import ROOT, Served, server
from demo.products import PRODUCTS, render_defective, render_normal
from onegauge.teach.remove import Unwanted, remove
from onegauge.teach.target import target_of

NEW = "cap"
KNOWN = [product for product in PRODUCTS if product != NEW]
LOT, FLAW = "metal", "scratch"
LIGHT = 0.2  # by how much it has risen in the end
IMAGES = 3000
OTHERS = 50  # every so many parts one is defective
KINDS = ("usual light", "other light", "new product", "its defects", "bad lot", "other defects")
LOOKED_AT = 100  # normal images that are judged, those nearest to the threshold
BY, TEACH = "Anna", "/review/teach"


@dataclass(frozen=True)
class Part:
    """What comes along the line; `light` is a factor."""

    kind: str
    product: str
    light: float = 1.0

    @property
    def defective(self) -> bool:
        """Whether it should be called anomalous."""
        return self.kind in ("its defects", "bad lot", "other defects")


def line(count: int) -> list[Part]:
    """The parts of a line in their order."""
    third, parts = count // 3, []
    lot = range(third // 2, third // 2 + count // 30)
    for number in range(count):
        late = max(0, number - 2 * third) / third
        product, light = KNOWN[number % len(KNOWN)], 1 + LIGHT * late
        if number in lot:
            parts.append(Part("bad lot", LOT))
        elif third <= number < 2 * third and number % 5 == 0:
            parts.append(Part("its defects" if number % 50 == 0 else "new product", NEW))
        elif number % OTHERS == 1:
            parts.append(Part("other defects", product, light))
        else:
            parts.append(Part("other light" if late else "usual light", product, light))
    return parts


def picture(part: Part, seed: int, number: int) -> bytes:
    """A file of a part."""
    rng = np.random.default_rng([seed, number])
    if part.kind == "bad lot":
        pixels = PRODUCTS[part.product].defective(rng, 256, FLAW)[0]
    elif part.defective:
        pixels = render_defective(part.product, rng)[0]
    else:
        pixels = render_normal(part.product, rng)
    file = BytesIO()
    lit = (pixels * part.light + 0.5).clip(0, 255).astype(np.uint8)
    Image.fromarray(lit).save(file, "JPEG", quality=95, subsampling=0)  # as the model knows them
    return file.getvalue()


def main(out: Path) -> None:
    """Have the line run, be reviewed, and run again."""
    repository = Path(shutil.copytree(ROOT / "model_repository", out / "repository")).resolve()
    forget(repository)
    parts = line(IMAGES)
    kept = {"ONEGAUGE_RECORDS": f"sqlite:///{repository.with_name('records.db')}"}
    with (
        server("onegauge", Served(repository), ONEGAUGE_KEEP="all", **kept) as gateway,
        httpx.Client(base_url=gateway.url, timeout=60, follow_redirects=True) as client,
    ):
        client.headers["Origin"] = gateway.url  # as a browser sends it with a form
        reviewer = review(client, parts, inspect(client, parts, render(parts, seed=1)))
        say(f"what it would change: {reviewer.propose()}")
        fresh = render(parts, seed=2)
        before = inspect(client, parts, fresh)
        reviewer.serve()
        report(parts, before, inspect(client, parts, fresh))


def review(client: httpx.Client, parts: Sequence[Part], answers: Sequence[Any]) -> Reviewer:
    """Have a line reviewed: what is unknown, anomalous, nearly anomalous, and what was missed."""
    begun = time.monotonic()
    known = {one["inspection"]: part for one, part in zip(answers, parts, strict=True)}
    reviewer = Reviewer(client, known)
    reviewer.sort_the_unknown()
    reviewer.judge({"decision": "anomalous", "verdict": "none"})
    reviewer.judge({"decision": "normal", "verdict": "none", "order": "nearest"}, LOOKED_AT)
    for number, (part, one) in enumerate(zip(parts, answers, strict=True)):
        if part.defective and one["decision"] == "normal":
            reviewer.judge({"part": part_id(number)})
    say(f"reviewed in {time.monotonic() - begun:.0f} s: {dict(reviewer.said)}")
    return reviewer


def forget(repository: Path) -> None:
    """Have the new product leave the normal images of the model."""
    target = target_of(repository, "onegauge")
    theirs = [one.id for one in target.library.origins if one.name.startswith(f"{NEW}/")]
    remove(target, Unwanted(ids=theirs))


def render(parts: Sequence[Part], seed: int) -> list[bytes]:
    """A file of each part."""
    return [picture(part, seed, number) for number, part in enumerate(parts)]


def part_id(number: int) -> str:
    """What the line calls a part."""
    return f"{number:04}"


def inspect(client: httpx.Client, parts: Sequence[Part], pictures: Sequence[bytes]) -> list[Any]:
    """What the gateway answers for each part."""
    found = []
    begun = time.monotonic()
    for number, data in enumerate(pictures):
        asked = {"line": "press", "part": part_id(number)}
        answer = client.post("/v1/inspect", params=asked, files={"image": data})
        found += answer.raise_for_status().json()["results"]
    say(f"{len(parts)} inspected in {time.monotonic() - begun:.0f} s")
    return found


@dataclass
class Reviewer:
    """Somebody at the review page, who knows what each part is."""

    client: httpx.Client
    known: Mapping[str, Part]  # by inspection
    said: Counter[str] = field(default_factory=Counter)
    done: set[str] = field(default_factory=set)  # inspections

    def sort_the_unknown(self) -> None:
        """Say of each group of unknown products what they are, once defects are out of it."""
        while groups := self._page("/review/unknown").forms:
            for group in groups:
                self._sort(group)

    def judge(self, search: Mapping[str, str], most: int = sys.maxsize) -> None:
        """Judge what a search finds, one after another."""
        forms = self._page("/review", **search).forms_to("/verdict")
        while most and forms and _inspection(forms[0]) not in self.done:  # as the last one stays
            forms, most = self._judge(forms[0]).forms_to("/verdict"), most - 1

    def propose(self) -> list[list[str]]:
        """Have a proposal made of all that waits; the table of its effect."""
        (form,) = self._page(TEACH).forms_to("/propose")
        self._press(form)
        begun = time.monotonic()
        while "data-again" in (shown := self.client.get(TEACH).text):
            time.sleep(1)
        say(f"proposal made in {time.monotonic() - begun:.0f} s")
        rows = re.findall('<tr><th scope="row">.*?</tr>', shown)
        return [re.findall("<t[hd].*?>(.*?)</t[hd]>", row) for row in rows]

    def serve(self) -> None:
        """Have what was proposed answer from now on."""
        (form,) = self._page(TEACH).forms_to("/withdraw")
        (button,) = (one for one in form.buttons if one.get("formaction", "").endswith("/serve"))
        self._press(form, button)

    def _sort(self, group: Form) -> None:
        products: dict[str, dict[str, str]] = {}
        for name in [name for name in group.fields if name.startswith("take-")]:
            ticked, inspection = group.fields.pop(name), name.removeprefix("take-")
            if self.known[inspection].defective:
                (form,) = self._page(f"/review/{inspection}").forms_to("/verdict")
                self._judge(form)
            else:
                products.setdefault(self.known[inspection].product, {})[name] = ticked
        for product, ticks in products.items():
            kind = "new_product" if product == NEW else "known_product"
            self._press(group, {"name": "kind", "value": kind}, product=product, **ticks)
            self.said[kind] += len(ticks)

    def _judge(self, form: Form) -> Page:
        """Say what a part is, and see the next one."""
        verdicts = {one["value"]: one for one in form.buttons if one.get("name") == "verdict"}
        anomalous = "missed" not in verdicts  # which can be said of normal ones alone
        wrong = "false_alarm" if anomalous else "missed"
        inspection = _inspection(form)
        verdict = "confirmed" if self.known[inspection].defective == anomalous else wrong
        self.said[verdict if verdict == wrong else f"confirmed, {anomalous=}"] += 1
        self.done.add(inspection)
        return self._press(form, verdicts[verdict])

    def _page(self, path: str, **search: str) -> Page:
        return Page(self.client.get(path, params=search or None).raise_for_status().text)

    def _press(self, form: Form, button: Mapping[str, str] | None = None, **typed: str) -> Page:
        """Send a form by one of its buttons, and see what follows."""
        button = button or {}
        pressed = {button["name"]: button["value"]} if "name" in button else {}
        sent = {**form.fields, "by": BY, **typed, **pressed}
        address = button.get("formaction", form.action)
        return Page(self.client.post(address, data=sent).raise_for_status().text)


def _inspection(form: Form) -> str:
    return form.action.split("/")[-2]


def report(parts: Sequence[Part], before: Sequence[Any], after: Sequence[Any]) -> None:
    """Print for each kind of parts what both versions decide, and how often otherwise."""
    sys.stdout.write("kind             images   wrong  and now   unknown  and now   changed\n")
    for kind in KINDS:
        rows = [row for row in zip(parts, before, after, strict=True) if row[0].kind == kind]
        truth = [part.defective for part, *_ in rows]
        versions = list(zip(*(pair for _, *pair in rows), strict=True))
        told = [np.array([one["decision"] == "anomalous" for one in some]) for some in versions]
        wrong, still = (int((flagged != truth).sum()) for flagged in told)
        strange, known = (sum(one["unknown_product"] for one in some) for some in versions)
        changed = int((told[0] != told[1]).sum())
        figures = f"{len(rows):8}{wrong:8}{still:9}{strange:10}{known:9}{changed:10}"
        sys.stdout.write(f"{kind:15}{figures}\n")


def say(text: str) -> None:
    """Tell what was done."""
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    typer.run(main)
