import csv
import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from onegauge.training.evaluation.false_alarms import uniformity
from onegauge.training.evaluation.metrics import all_metrics
from onegauge.training.evaluation.readings import Readings, Subject
from onegauge.training.report.headline import interval, percent
from onegauge.training.report.report import write_report

CARD = {"Detector": "patchcore", "Backbone": "starter", "Alignment": "cada", "Time": "9 ms"}
NASTY = "<script>alert(\"1\")</script> & 'co'"


def figures_of(readings: Readings) -> dict:
    score, anomalous = readings.score, readings.anomalous
    figures = all_metrics(score, anomalous, readings.products, threshold=1.0, alpha=0.05)
    return figures | {"p_values": uniformity(readings.p_value[~anomalous], 19)}


def written(readings: Readings, out: Path, figures: dict | None = None) -> str:
    subject = Subject("runs/line", "cada", 0.05, 1.0, 19, CARD, readings)
    return write_report(subject, figures or figures_of(readings), out).read_text()


def table(page: str) -> list[list[str]]:
    """The cells' text of the table of products."""
    body = re.search(r"<tbody>(.*?)</tbody>", page, re.DOTALL).group(1)
    rows = re.findall(r"<tr.*?>(.*?)</tr>", body, re.DOTALL)
    cells = [re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in rows]
    return [[unescape(re.sub(r"<[^>]*>", " ", c)).strip() for c in row] for row in cells]


def test_the_page_is_one_file_and_has_all_parts(line, tmp_path):
    out = tmp_path / "deep" / "out"
    page = written(line(nut=([0.1, 1.2], [3.0, 0.4]), bolt=([0.2], [2.0])), out)
    assert not re.search(r"https?:|<script|<link|@import|url\((?!#)", page)
    assert all(uri.startswith("data:") for uri in re.findall(r'src="([^"]*)', page))
    names = {file.name for file in out.iterdir()}
    plots = {"distributions.png", "roc.png", "trade_off.png", "p_values.png"}
    assert names == plots | {"report.html", "scores.csv", "products.csv"}
    anchors = re.findall(r'href="#(\w+)"', page)
    assert anchors
    assert all(f'<section id="{anchor}">' in page for anchor in anchors)
    for name, value in {"model": "runs/line", **CARD}.items():
        assert f"<dt>{name}</dt><dd>{value}</dd>" in page


def test_only_images_that_are_shown_are_embedded(line, tmp_path):
    page = written(line(nut=([0.1] * 40, [3.0] * 40)), tmp_path / "out")
    assert page.count("data:image/jpeg") == 2 * page.count('<div class="pair">') < 40


def test_the_table_has_the_figures_with_the_worst_product_first(line, tmp_path):
    readings = line(good=([0.1, 0.2], [2.0, 3.0]), bad=([0.1, 1.2], [3.0, 0.4]))
    figures = figures_of(readings)
    figures["per_product"]["bad"]["aupro"] = 0.875
    page = written(readings, tmp_path, figures)
    bad, good, pooled = table(page)
    assert (bad[0], good[0], pooled[0]) == ("bad", "good", "All, pooled")
    row = figures["per_product"]["bad"]
    assert bad[1:5] == ["2", "2", percent(row["image_auroc"]), "87.5\N{NO-BREAK SPACE}%"]
    assert good[4] == "–"  # no masks
    assert bad[5] == f"{percent(row['false_alarm_rate'])} {interval(row['false_alarm_interval'])}"
    assert pooled[3] == percent(figures["pooled"]["image_auroc"])
    assert pooled[7].startswith(percent(figures["at_threshold"]["miss_rate"]))
    assert '<div class="value word" title="bad">bad</div>' in page


def test_whatever_comes_from_names_is_escaped(line, tmp_path):
    names = {NASTY: ([0.1, 1.2], [3.0, 0.4]), 300 * "x": ([0.1], [3.0])}
    readings = line(names | {"geh\udce4use": ([0.1], [3.0])})
    odd = [
        replace(i, defect="<i>chip</i>", path=i.path.parent / "<u>.png") for i in readings.images
    ]
    page = written(replace(readings, images=tuple(odd)), tmp_path / "out")
    assert "<script" not in page
    assert "<i>" not in page
    assert "<u>" not in page
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt; &amp; &#39;co&#39;" in page
    assert [row[0] for row in table(page)] == [NASTY, 300 * "x", "geh?use", "All, pooled"]
    with (tmp_path / "out" / "scores.csv").open(newline="") as stream:
        assert next(csv.DictReader(stream))["product"] == NASTY


@pytest.mark.parametrize(
    ("products", "plots", "says"),
    [
        ({"nut": ([0.1, 1.2], [])}, {"trade_off", "p_values"}, "no anomalous images"),
        ({"nut": ([], [0.1, 1.2])}, {"trade_off"}, "No normal images: the promise"),
        (
            {"nut": ([0.1, 0.2], []), "bolt": ([], [2.0])},
            {"roc", "trade_off", "p_values"},
            "No false alarm: all 2 normal images pass.",
        ),
        ({"nut": ([0.1], [2.0])}, {"roc", "trade_off", "p_values"}, "Image AUROC is 100.0"),
    ],
)
def test_what_the_images_do_not_allow_is_left_out(line, tmp_path, products, plots, says):
    page = written(line(products), tmp_path / "out")
    assert {f.stem for f in (tmp_path / "out").glob("*.png")} == plots | {"distributions"}
    assert says in page
    assert "nan" not in re.sub(r'"data:[^"]*"', "", page).lower().replace("name", "")


def test_a_single_product_is_not_called_the_worst(line, tmp_path):
    page = written(line(nut=([0.1, 1.2], [3.0, 0.4])), tmp_path / "out")
    assert "Worst product" not in page
    assert "All, pooled" not in page
    assert "1 product," in page


def test_images_that_are_gone_are_said_to_be(line, tmp_path):
    readings = line(nut=([0.1, 1.2], [3.0, 0.4]))
    for image in readings.images:
        image.path.unlink()
    page = written(readings, tmp_path / "out")
    assert "data:image/jpeg" not in page
    assert "The file can no longer be read." in page
