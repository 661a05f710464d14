"""The page in a real browser, on a gateway with the bundled model."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from demo.products import render_normal
from demo.products.tree import generator
from onegauge.service.http.keys import add_key
from tests.service.served import served

ROOT = Path(__file__).parents[3]
SAMPLES = sorted((ROOT / "docs" / "samples").glob("*.jpg"))
AXE = Path(__file__).parent / "axe.min.js"
CHROMIUM = shutil.which("chromium")
ZONE = {"name": "onegauge_zone", "value": "UTC", "domain": "127.0.0.1", "path": "/review"}
WIDE, TABLET = {"width": 1280, "height": 800}, {"width": 768, "height": 1024}
WITHIN_MS = 300_000  # also beside other work
ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script>'\"&{{7*7}}"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")


@dataclass
class Line:
    """A gateway that inspects, and remembers all pictures."""

    url: str

    def inspect(self, sample: Path, **options: str) -> dict:
        """The decision on a sample."""
        name = options.pop("filename", sample.name)
        files = [("image", (name, sample.read_bytes()))]
        answer = httpx.post(f"{self.url}/inspect", params=options, files=files, timeout=60)
        return answer.json()["results"][0]

    def found(self, **search: str) -> list[dict]:
        """What the API finds."""
        return httpx.get(f"{self.url}/v1/inspections", params=search).json()["inspections"]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """One that has inspected the samples, two views of each part."""
    records = tmp_path_factory.mktemp("records") / "records.db"
    with served(ROOT / "model_repository", records=f"sqlite:///{records}", keep="all") as url:
        line = Line(url)
        for number, sample in enumerate(SAMPLES):
            line.inspect(sample, part=f"47{11 + number // 2}", line=f"press-{3 + number % 2}")
        yield line


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        options = ["--no-sandbox"] if os.geteuid() == 0 else []  # which root cannot have
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        expect.set_options(timeout=WITHIN_MS)
        yield browser
        browser.close()


Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser) -> Iterator[Opened]:
    """Opens pages in a browser that knows nothing yet, and wants none of its rules broken."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_page(**options: object) -> Page:
        context = browser.new_context(**{"viewport": WIDE, "locale": "en-GB", **options})
        context.add_cookies([ZONE])  # else the first page is loaded twice
        context.set_default_timeout(WITHIN_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message) or dialog.dismiss())
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type == "error" else None,
        )
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def shown(page: Page) -> str:
    """The id of the inspection that a page shows."""
    return re.search(r"/review/([0-9a-f]{32})/verdict", page.content())[1]


def press(page: Page, key: str) -> None:
    """Press a key that leads to another page, and wait for it."""
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press(key)


def take_a_name(page: Page) -> None:
    """Say who looks, which is asked for at the first verdict."""
    page.keyboard.press("u")
    expect(page.locator("input[name=by]")).to_be_focused()
    page.keyboard.type("Anna")
    page.keyboard.press("Escape")


def test_all_is_done_by_keys(line, opened):
    page = opened()
    page.goto(f"{line.url}/review?verdict=none&decision=anomalous")
    take_a_name(page)
    first = shown(page)
    press(page, "c")
    second = shown(page)
    assert second != first
    press(page, "f")
    third = shown(page)
    said = {one["id"]: one["verdict"] for one in line.found()}
    assert (said[first], said[second], said[third]) == ("confirmed", "false_alarm", None)
    press(page, "z")
    assert shown(page) == second
    press(page, "j")
    assert shown(page) == third
    press(page, "k")
    assert shown(page) == second
    page.keyboard.press("m")  # which an anomalous image cannot be
    page.keyboard.press("n")
    page.keyboard.type("jkfcu, burr?")
    page.keyboard.press("Enter")
    assert shown(page) == second
    page.keyboard.press("Escape")
    press(page, "u")
    (told,) = (one for one in line.found(verdict="unclear") if one["id"] == second)
    detail = httpx.get(f"{line.url}/v1/inspections/{told['id']}").json()
    assert [one["verdict"] for one in detail["judgements"]] == ["false_alarm", None, "unclear"]
    assert (detail["judgements"][-1]["by"], detail["judgements"][-1]["note"]) == (
        "Anna",
        "jkfcu, burr?",
    )


def test_the_overlay_is_switched_and_stays_so(line, opened):
    page = opened()
    page.goto(f"{line.url}/review?decision=anomalous")
    layer = page.locator(".picture .layer")
    expect(layer).to_be_visible()
    page.keyboard.press("o")
    expect(layer).to_be_hidden()
    press(page, "j")
    expect(layer).to_be_hidden()
    page.get_by_text("Overlay").click()
    expect(layer).to_be_visible()


def test_pictures_are_shown_beside_what_is_normal(line, opened):
    page = opened()
    part = next(one["part"] for one in line.found(decision="anomalous"))
    page.goto(f"{line.url}/review?decision=anomalous&part={part}")
    references = page.locator(".references img")
    expect(references).to_have_count(3)
    expect(page.locator(".pairs svg").first).to_be_visible()
    for image in (*page.locator("img").all(), *references.all()):
        assert image.evaluate("one => one.complete && one.naturalWidth > 0")
    for image in page.locator("svg image").all():
        address = image.get_attribute("href")
        answer = page.request.get(f"{line.url}{address}")
        assert answer.ok
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"] in ("image/jpeg", "image/png")
    expect(page.get_by_text(f"Other pictures of {part}")).to_be_visible()


def test_the_newest_pictures_come_by_themselves(line, opened):
    page = opened()
    page.goto(f"{line.url}/review/lines")
    line.inspect(SAMPLES[0], part="live-1", line="press-3")
    newest = page.locator("[data-line='press-3'] li").first
    expect(newest).to_contain_text("live-1")
    assert newest.locator("img").evaluate("one => one.decode().then(() => true)")


def says(page: Page, name: str) -> str:
    """A cell of the table of what a threshold would change."""
    return page.locator(f"[data-says='{name}']").text_content()


def test_a_threshold_is_tried_by_keys_saved_and_taken_back(line, opened):
    flagged = sorted(line.found(decision="anomalous"), key=lambda one: one["score"])
    verdicts = dict.fromkeys(one["id"] for one in line.found())
    verdicts |= {flagged[0]["id"]: "false_alarm", flagged[-1]["id"]: "confirmed"}
    for id_, verdict in verdicts.items():
        said = {"verdict": verdict, "by": "Ben"}
        httpx.put(f"{line.url}/v1/inspections/{id_}/verdict", json=said).raise_for_status()
    page = opened()
    page.goto(f"{line.url}/review/threshold?number=200")
    expect(page.locator("#summary")).to_have_text("No decision would change.")
    slider, field = page.get_by_role("slider"), page.get_by_role("spinbutton")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(field).to_have_value("1.01")
    page.keyboard.press("End")
    expect(field).to_have_value("2.05")
    total = len(line.found(limit="200"))
    changed = [one for one in flagged if one["score"] < 2.05]
    assert 0 < len(changed) < len(flagged)
    told = f"{len(changed)} of {total} decisions would change: 0 to anomalous, {len(changed)} to"
    expect(page.locator("#summary")).to_contain_text(told)
    expect(page.locator("#which li")).to_have_count(len(changed))
    expect(page.locator("#which a").first).to_have_attribute("href", re.compile(changed[-1]["id"]))
    assert page.locator("#which img").first.evaluate("one => one.decode().then(() => true)")
    assert says(page, "flagged-now").startswith(str(len(flagged)))
    assert says(page, "flagged-then").startswith(str(len(flagged) - len(changed)))
    assert (says(page, "false-now"), says(page, "false-then")) == ("1 of 1", "0 of 1")
    assert (says(page, "missed-now"), says(page, "missed-then")) == ("0 of 1", "0 of 1")
    field.fill(f"{flagged[-1]['score'] + 1}")
    assert says(page, "missed-then") == "1 of 1"
    field.fill("1.2")
    page.get_by_label("Your name").fill("Anna")
    page.get_by_label("Note").fill("dust")
    press(page, "Enter")
    assert httpx.get(f"{line.url}/v1/model").json()["threshold"] == 1.2
    assert line.inspect(SAMPLES[0])["threshold"] == 1.2
    expect(page.locator(".past li").first).to_contain_text("Anna")
    with page.expect_navigation():
        page.get_by_role("button", name="Take back").click()
    assert httpx.get(f"{line.url}/v1/model").json()["threshold"] == 1.0


def test_a_threshold_promises_what_the_model_would_say_of_such_a_score(line, opened):
    page = opened(locale="de-DE")
    page.goto(f"{line.url}/review/threshold")
    found = line.found()
    for one in found:
        page.get_by_role("spinbutton").fill(str(one["score"]))
        flagged = sum(other["score"] >= one["score"] for other in found)  # the image itself, too
        assert says(page, "flagged-then").startswith(f"{flagged} (")
        told = float(says(page, "promise-then").removesuffix(" %").replace(",", "."))
        assert told == pytest.approx(100 * one["p_value"], rel=0.05)
        warned = page.get_by_text("was das Training zusagt")
        expect(warned).to_be_visible(visible=one["p_value"] > 0.01)


def test_no_script_that_came_with_an_image_runs(line, opened):
    told = line.inspect(SAMPLES[0], part=ATTACK, line=ATTACK[:60], filename=f"{ATTACK}.jpg")
    id_ = told["inspection"]
    verdict = {"verdict": "unclear", "by": ATTACK[:60], "note": ATTACK}
    httpx.put(f"{line.url}/v1/inspections/{id_}/verdict", json=verdict).raise_for_status()
    criterion = {"threshold": None, "by": ATTACK[:60], "note": ATTACK}
    httpx.put(f"{line.url}/v1/criterion", json=criterion).raise_for_status()
    page = opened()
    paths = ("", f"/{id_}", f"/{id_}/print", f"/{id_}?judged={id_}", "/lines", "/threshold")
    for path in paths:
        page.goto(f"{line.url}/review{path}", wait_until="load")
        assert page.locator("img[onerror]").count() == 0
        assert "{{7*7}}" in page.content()
        assert "49" not in page.title()


def test_another_site_cannot_judge_in_somebodys_name(line, browser):
    target = line.found()[0]["id"]
    context = browser.new_context()
    form = (
        f'<form method="post" action="{line.url}/review/{target}/verdict">'
        '<input name="verdict" value="missed"><input name="by" value="Eve"></form>'
        "<script>document.forms[0].submit()</script>"
    )
    context.route(
        "http://evil.example/**", lambda route: route.fulfill(body=form, content_type="text/html")
    )
    page = context.new_page()
    with page.expect_response(f"**/review/{target}/verdict") as refused:
        page.goto("http://evil.example/")
    assert refused.value.status == 403
    judgements = httpx.get(f"{line.url}/v1/inspections/{target}").json()["judgements"]
    assert "Eve" not in [one["by"] for one in judgements]
    context.close()


def test_who_logs_in_is_known_and_who_logs_out_is_not(gauge_repository, tmp_path, opened):
    keys = tmp_path / "keys"
    secret = add_key(keys, "shift-1", ["review"])
    records = f"sqlite:///{tmp_path}/records.db"
    with served(gauge_repository, records=records, api_keys=keys) as url:
        page = opened()
        page.goto(f"{url}/review?part=4711")
        expect(page.locator("[name=key]")).to_be_focused()
        page.keyboard.type(secret)
        expect(page.locator("[name=key]")).to_have_value(secret)
        press(page, "Enter")
        assert page.url == f"{url}/review?part=4711"
        expect(page.get_by_text("shift-1")).to_be_visible()
        assert page.evaluate("document.cookie").count("onegauge_session") == 0
        page.get_by_text("Log out").click()
        page.goto(f"{url}/review")
        expect(page.get_by_label("API key")).to_be_focused()
        page.goto("about:blank")


def test_a_language_is_switched(line, opened):
    page = opened(locale="de-DE")
    page.goto(f"{line.url}/review?decision=normal")
    expect(page.get_by_role("link", name="Prüfliste")).to_be_visible()
    page.get_by_role("link", name="EN", exact=True).click()
    expect(page.get_by_role("link", name="Queue")).to_be_visible()
    assert page.url == f"{line.url}/review?decision=normal"


def require_readable(page: Page) -> None:
    """Nothing that axe finds fault with, and nothing beyond the window's edge."""
    page.add_script_tag(path=AXE)
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    told = [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]
    assert told == [], page.url
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url


@pytest.mark.parametrize(
    ("size", "scheme"), [(WIDE, "light"), (TABLET, "dark")], ids=["wide", "tablet"]
)
def test_everybody_can_read_and_use_it(line, opened, size, scheme):
    page = opened(viewport=size, color_scheme=scheme, bypass_csp=True)
    anomalous = line.found(decision="anomalous")[0]["id"]
    views = [line.inspect(view, part="4798", views="2") for view in SAMPLES[:2]]
    said = {"verdict": "confirmed", "by": "Anna"}
    httpx.put(f"{line.url}/v1/inspections/{anomalous}/verdict", json=said).raise_for_status()
    for path in (
        f"/{anomalous}",
        f"/{anomalous}/print",
        f"/{views[0]['inspection']}?judged={anomalous}",
        "?part=no-such-part",
        "/lines",
        "/threshold",
        "/references?by=suspicion",
        "/login",
    ):
        page.goto(f"{line.url}/review{path}", wait_until="load")
        require_readable(page)


def test_no_target_is_too_small_for_a_finger(line, opened):
    page = opened(viewport=TABLET, has_touch=True)
    page.goto(f"{line.url}/review?decision=anomalous")
    # a link in a sentence is as high as its line
    targets = page.locator("button, a:not(p a), input:not([type=checkbox]), select")
    # at once, as what is compared comes to the page after it
    heights = targets.evaluate_all(
        "all => all.filter(one => one.checkVisibility())"
        ".map(one => one.getBoundingClientRect().height)"
    )
    assert len(heights) > 20
    assert min(heights) >= 44


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A line with a model of its own, which has seen a new product, its negative parts."""
    folder = tmp_path_factory.mktemp("strange")
    repository = folder / "repository"
    shutil.copytree(ROOT / "model_repository" / "onegauge", repository / "onegauge")
    records = f"sqlite:///{folder}/records/records.db"
    with served(repository, records=records, keep="all", shadow_share=1.0) as url:
        line = Line(url)
        for number, file in enumerate(strange_parts(folder, 14)):
            line.inspect(file, part=f"new-{number}")
        line.inspect(SAMPLES[0], part="known")  # and defective
        yield line


def strange_parts(folder: Path, count: int) -> list[Path]:
    """Pictures of a product that the bundled model has not seen."""
    files = []
    for number in range(count):
        pixels = render_normal("cap", generator(7, "cap", "train", number), 256)
        files.append(folder / f"{number}.png")
        Image.fromarray(255 - pixels).save(files[-1])
    return files


def test_a_new_product_is_taught_tried_served_and_taken_back(strange, opened, tmp_path):
    page = opened(bypass_csp=True, viewport=TABLET, color_scheme="dark")
    page.goto(f"{strange.url}/review/unknown")
    while (further := page.get_by_role("link", name="Look on")).count():
        with page.expect_navigation(wait_until="load"):
            further.click()
    group = page.locator("form.card").first
    expect(group.locator("input[type=checkbox]:checked")).to_have_count(14)
    require_readable(page)
    for number in (12, 13):  # which stay out
        group.get_by_role("checkbox", name=f"new-{number}").uncheck()
    group.get_by_label("Your name").fill("Anna")
    group.get_by_label("Name of the product").fill("negative cap")
    group.get_by_role("button", name="New product").click()

    page.goto(f"{strange.url}/review/teach")
    expect(page.get_by_text("Waits to be learnt: 12")).to_be_visible()
    require_readable(page)
    page.get_by_role("button", name="Leave out: new-0").click()
    expect(page.get_by_text("Waits to be learnt: 11")).to_be_visible()
    page.get_by_role("button", name="Propose").click()
    expect(page.get_by_text("The version is made")).to_be_visible()
    expect(page.get_by_role("heading", name="Candidate")).to_be_visible(timeout=600_000)
    row = page.get_by_role("row", name="No verdict")
    expect(row.get_by_role("cell")).to_have_text(["4", "4", "1"])
    expect(page.get_by_text("11 left out")).to_be_visible()
    require_readable(page)

    part = strange_parts(tmp_path, 16)[-1]
    assert strange.inspect(part)["decision"] == "anomalous"
    page.get_by_role("button", name="Try in the shadow").click()
    expect(page.get_by_role("heading", name="In the shadow")).to_be_visible()
    page.get_by_role("button", name="Serve", exact=True).click()
    expect(page.get_by_text("Version 2 is served")).to_be_visible()
    assert strange.inspect(part)["decision"] == "normal"
    require_readable(page)
    page.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("Version 1 is served")).to_be_visible()
    assert strange.inspect(part)["decision"] == "anomalous"
    told = page.locator(".steps li").all_inner_texts()
    assert [step.split()[0] for step in told] == ["Is", "Candidate", "In", "Served", "Rolled"]
    assert all(step.endswith("Anna") for step in told if not step.startswith("Candidate"))


@pytest.mark.drill
def test_two_hundred_images_are_reviewed_without_a_mouse(line, opened):
    for number in range(200):
        line.inspect(SAMPLES[number % len(SAMPLES)], line="drill", part=f"drill-{number}")
    page = opened()
    page.goto(f"{line.url}/review?verdict=none&line=drill")
    take_a_name(page)
    expected = {}
    for number in range(200):
        here = shown(page)
        wrong = "f" if page.locator(".title .decision.anomalous").count() else "m"
        key = wrong if number % 5 == 0 else "c"
        press(page, key)
        expected[here] = {"c": "confirmed", "f": "false_alarm", "m": "missed"}[key]
    assert len(expected) == 200
    found, after = {}, None
    while True:
        query = {"line": "drill", "limit": "100"} | ({"after": after} if after else {})
        answer = httpx.get(f"{line.url}/v1/inspections", params=query).json()
        found |= {one["id"]: one["verdict"] for one in answer["inspections"]}
        if not (after := answer["next"]):
            break
    assert found == expected
    expect(page.get_by_text("this was the last one")).to_be_visible()


def test_a_part_of_several_views_is_judged_in_one_stroke_and_taken_back(line, opened):
    views = [sample for sample in SAMPLES if "ring" in sample.name][:2]
    ids = [
        line.inspect(view, part="4799", views="2", line="press-9")["inspection"] for view in views
    ]
    page = opened()
    page.goto(f"{line.url}/review?line=press-9")
    expect(page.locator(".list .tile")).to_have_count(1)
    page.goto(f"{line.url}/review?part_decision=anomalous")
    assert shown(page) in ids
    page.locator(".whole-part .view:not([aria-current])").click()
    expect(page.locator(".list .tile[aria-current]")).to_have_count(1)
    page.goto(f"{line.url}/review/{ids[0]}")
    take_a_name(page)
    expect(page.locator(".whole-part .view")).to_have_count(2)
    expect(page.locator(".whole-part h3")).to_contain_text("2 of 2 views")
    for image in page.locator(".whole-part image").all():
        assert page.request.get(f"{line.url}{image.get_attribute('href')}").ok
    press(page, "Shift+U")
    assert shown(page) not in ids
    assert {one["verdict"] for one in line.found(line="press-9")} == {"unclear"}
    press(page, "z")
    assert shown(page) in ids
    assert {one["verdict"] for one in line.found(line="press-9")} == {None}
    with page.expect_navigation(wait_until="load"):
        page.locator(".of-part button[value=confirmed]").click()
    assert {one["verdict"] for one in line.found(line="press-9")} == {"confirmed"}
