from onegauge.training.benchmark.results import Result
from onegauge.training.benchmark.tables import tables


def figures(auroc: float, false_alarms: float, **pixels: float) -> dict:
    worst = {"false_alarm_rate": 2 * false_alarms, "miss_rate": 0.5}
    at = {"false_alarm_rate": false_alarms, "miss_rate": 0.25, "worst_product": worst}
    of_all = {"image_auroc": auroc, **pixels}
    return {
        "pooled": of_all,
        "product_mean": of_all,
        "at_rates": {"0.01": at, "0.05": at},
        "p_values": {"ks": 0.03},
    }


def result(seed: int, *measured: float, alignment: str = "cada", **pixels: float) -> Result:
    return Result("patchcore", "starter", 256, alignment, seed, {}, figures(*measured, **pixels))


def rows(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]


def test_seeds_are_one_row_with_mean_and_deviation():
    table = rows(tables([result(0, 0.9, 0.04), result(1, 0.92, 0.06)]))
    accuracy, *errors = (row for row in table if row and row[0] == "patchcore")
    assert accuracy[:6] == ["patchcore", "starter, 256²", "cada", "2", "91.0 ± 1.4", "91.0 ± 1.4"]
    assert len(errors) == 2  # one for each promise
    for row in errors:
        assert row[4:] == ["5.0 ± 1.4", "10.0 ± 2.8", "25.0 ± 0.0", "50.0 ± 0.0", "3.0 ± 0.0"]


def test_one_seed_claims_no_deviation_and_every_alignment_has_a_row():
    table = rows(tables([result(0, 0.9, 0.04), result(0, 0.8, 0.04, alignment="none")]))
    found = [(row[2], row[4]) for row in table if row and row[0] == "patchcore"]
    assert found[:2] == [("cada", "90.0"), ("none", "80.0")]


def test_what_the_data_set_does_not_allow_is_a_dash():
    without, masked = tables([result(0, 0.9, 0.04)]), tables([result(0, 0.9, 0.04, aupro=0.7)])
    assert [row[-1] for row in rows(without) if row and row[0] == "patchcore"][0] == "-"
    assert [row[-1] for row in rows(masked) if row and row[0] == "patchcore"][0] == "70.0"


def test_nothing_measured_is_tables_without_rows():
    assert not [row for row in rows(tables([])) if row and row[0] == "patchcore"]
