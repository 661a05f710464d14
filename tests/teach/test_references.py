import csv

from onegauge.library.fit import Fit
from onegauge.library.library import FILE, load
from onegauge.teach.references import COLUMNS, listed, write_csv
from onegauge.training.data.digest import file_digest
from tests.teach.conftest import NAME


def test_every_picture_is_listed_once_with_its_like(trained_repository, product_tree, tmp_path):
    rows = listed(Fit.of(load(trained_repository / NAME / "1" / FILE)))
    write_csv(tmp_path / "list.csv", COLUMNS, rows)
    with (tmp_path / "list.csv").open(newline="") as file:
        read = [*csv.DictReader(file)]
    assert [*read[0]] == ["id", "origin", "group", "added", "p_value", "nearest"]
    files = {row["origin"]: row for row in read}
    assert len(files) == len(read) == 60
    for name, row in files.items():
        assert row["id"] == file_digest(product_tree / name)[:12]
        assert 0 < float(row["p_value"]) <= 1
        assert row["nearest"] != row["id"]
    by_id = {row["id"]: row for row in read}
    product = {row["id"]: row["origin"].split("/")[0] for row in read}
    assert all(product[row["nearest"]] == product[row["id"]] for row in by_id.values())
    assert read[0]["added"].endswith("+00:00")
