import csv

from onegauge.training.evaluation.metrics import all_metrics
from onegauge.training.report.tables import (
    PRODUCTS,
    SCORES,
    product_rows,
    score_rows,
    worst_first,
    write_csv,
)


def figures_of(readings):
    score, products = readings.score, readings.products
    return all_metrics(score, readings.anomalous, products, threshold=1.0, alpha=0.05)[
        "per_product"
    ]


def read(file):
    with file.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_the_worst_product_has_the_highest_mean_of_both_rates(line):
    readings = line(
        good=([0.1, 0.2], [2.0, 3.0]), bad=([1.5, 0.2], [0.1, 0.2]), fair=([0.1, 0.2], [0.5, 3.0])
    )
    assert worst_first(figures_of(readings)) == ["bad", "fair", "good"]


def test_every_image_has_a_row_with_its_decision(line, tmp_path):
    readings = line(nut=([0.1, 1.0], [0.99999994, 3.0]))
    write_csv(tmp_path / "scores.csv", SCORES, score_rows(readings))
    rows = read(tmp_path / "scores.csv")
    assert [row["path"] for row in rows] == [str(image.path) for image in readings.images]
    assert [row["decision"] for row in rows] == ["normal", "anomalous", "normal", "anomalous"]
    assert [row["anomalous"] for row in rows] == ["0", "0", "1", "1"]
    assert [row["defect"] for row in rows] == ["good", "good", "chip", "chip"]
    assert float(rows[2]["score"]) < 1  # as many digits as the decision takes


def test_a_product_s_row_has_the_figures_and_is_empty_where_there_is_none(line, tmp_path):
    per_product = figures_of(line(nut=([0.1, 1.2], [2.0]), bolt=([0.1], [])))
    write_csv(tmp_path / "products.csv", PRODUCTS, product_rows(per_product))
    nut, bolt = read(tmp_path / "products.csv")
    assert (nut["product"], bolt["product"]) == ("nut", "bolt")
    assert float(nut["false_alarm_rate"]) == per_product["nut"]["false_alarm_rate"] == 0.5
    low, high = float(nut["false_alarm_low"]), float(nut["false_alarm_high"])
    assert [low, high] == per_product["nut"]["false_alarm_interval"]
    assert float(nut["image_auroc"]) == per_product["nut"]["image_auroc"]
    assert (bolt["miss_rate"], bolt["miss_low"], bolt["image_auroc"]) == ("", "", "")
    assert bolt["false_alarm_rate"] == "0.0"


def test_names_that_are_no_unicode_leave_the_file_readable(tmp_path):
    name = b"geh\xe4use".decode("utf-8", "surrogateescape")
    write_csv(tmp_path / "names.csv", ("name",), iter([(name,)]))
    assert read(tmp_path / "names.csv") == [{"name": r"geh\udce4use"}]
