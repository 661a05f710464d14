import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from onegauge.library.fit import Fit
from onegauge.teach.add import add
from onegauge.teach.suspects import suspects
from onegauge.teach.target import target_of
from onegauge.training.choice import NO_CHOICE
from tests.cli.command import status
from tests.teach.conftest import NAME

TARGET = ["model repository", "--name", NAME]


@pytest.fixture(scope="module")
def dirty(
    trained_repository: Path, product_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A repository with three defective images of wood among the normal ones."""
    root = tmp_path_factory.mktemp("dirty")
    repository = Path(shutil.copytree(trained_repository, root / "repository"))
    for number, file in enumerate(sorted((product_tree / "wood" / "test").rglob("*.jpg"))):
        if file.parent.name != "good" and len([*root.glob("images/*")]) < 3:
            (root / "images").mkdir(exist_ok=True)
            shutil.copy(file, root / "images" / f"<b>knot & {number}.jpg")
    add(target_of(repository, NAME), root / "images", None, NO_CHOICE)
    return repository


@pytest.fixture(scope="module")
def fit(dirty: Path) -> Fit:
    return Fit.of(target_of(dirty, NAME).library)


def test_dirt_comes_first(fit, tmp_path):
    suspects(fit, TARGET, None, tmp_path / "list.csv")
    with (tmp_path / "list.csv").open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [*rows[0]] == ["id", "origin", "rank", "score"]
    assert [int(row["rank"]) for row in rows] == [*range(1, 64)]
    assert sorted(scores := [float(row["score"]) for row in rows], reverse=True) == scores
    dirt = [int(row["rank"]) for row in rows if "knot" in row["origin"]]
    assert len(dirt) == 3
    assert min(dirt) == 1
    assert max(dirt) <= 10
    assert {row["id"] for row in rows} == {o.id for o in fit.library.origins}


def test_the_page_shows_each_with_what_it_was_compared_with(fit, tmp_path):
    (file,) = suspects(fit, TARGET, tmp_path, None)
    text = file.read_text(encoding="utf-8")
    assert text.count('class="pair"') == 60
    assert text.count("data:image/jpeg;base64,") == 60 * (2 + 3)
    assert "60 of 63 references" in text
    places = [int(rank) for rank in re.findall(r"<b>(\d+)</b>", text)]
    assert places == [*range(1, 61)]
    worst = fit.library.origins[-1].id
    assert f"onegauge remove &#39;model repository&#39; --name onegauge --reference {worst}" in text
    assert not re.search(r"(?:src|href)=\"(?!data:)", text)


def test_names_of_files_are_text_on_the_page(fit, tmp_path):
    (file,) = suspects(fit, TARGET, tmp_path, None)
    text = file.read_text(encoding="utf-8")
    assert "<b>knot" not in text
    assert "&lt;b&gt;knot &amp; " in text


def test_a_map_is_that_of_a_new_image_and_scores_as_it_does(fit):
    rows = fit.library.references
    scores = np.array([fit.scoring(fit.maps(rows))]).ravel()
    assert np.allclose(scores, fit.scores(rows), atol=1e-5)


def test_the_command_writes_both_and_asks_for_one(dirty, tmp_path, capsys):
    given = ["suspects", str(dirty), "--name", NAME]
    out, table = tmp_path / "page", tmp_path / "list.csv"
    assert status(*given, "--out", str(out), "--csv", str(table)) == 0
    assert capsys.readouterr().out == f"wrote {out / 'suspects.html'}\nwrote {table}\n"
    assert status(*given) == 1
    assert "--out" in capsys.readouterr().err
