import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from onegauge.library.fit import Fit
from onegauge.library.library import load
from onegauge.service.review.references import SHOWN
from onegauge.teach.suspects import rows_of
from tests.service.review.conftest import FORM
from tests.service.served import in_process, records_of

REPOSITORY = Path(__file__).parents[3] / "model_repository"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The page of a gateway on the bundled model."""
    records = tmp_path_factory.mktemp("records") / "records.db"
    with in_process(REPOSITORY, records=f"sqlite:///{records}") as client:
        yield client


@pytest.fixture(scope="module")
def rows() -> list[tuple[str, ...]]:
    """Id, name, rank and suspicion of each normal image, as `onegauge suspects` has them."""
    return rows_of(Fit.of(load(REPOSITORY / "onegauge" / "1" / "library.npz")))


def ids(page: str) -> list[str]:
    return re.findall(r"<code>([0-9a-f]{12})</code>", page)


def test_all_normal_images_are_there_a_page_at_a_time(client, rows):
    found, number = [], 1
    while shown := ids(client.get(f"/review/references?page={number}").text):
        assert len(shown) <= SHOWN
        found += shown
        number += 1
    assert sorted(found) == sorted(id_ for id_, *_ in rows)


def test_suspects_come_first_as_the_command_tells_them(client, rows):
    page = client.get("/review/references?by=suspicion").text
    assert ids(page) == [id_ for id_, *_ in rows[:SHOWN]]
    scores = re.findall(r'class="score">([\d.]+)<', page)
    assert [float(score) for score in scores] == pytest.approx(
        [float(score) for *_, score in rows[:SHOWN]], abs=0.006
    )


def test_the_picture_of_each_is_shown(client, rows):
    answer = client.get(f"/review/references/{rows[0][0]}/thumbnail")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert answer.content[:2] == b"\xff\xd8"


@pytest.mark.parametrize("name", ["0" * 12, "..%2F..%2Flibrary.npz", "%00"])
def test_no_other_id_has_a_picture(client, name):
    assert client.get(f"/review/references/{name}/thumbnail").status_code == 404


@pytest.mark.parametrize("query", ["by=random", "page=0", "page=x"])
def test_what_means_nothing_is_refused(client, query):
    assert client.get(f"/review/references?{query}").status_code == 422


def test_a_model_without_a_library_says_so(review):
    answer = review.client.get("/review/references")
    assert answer.status_code == 422
    assert "keeps no library" in answer.text


def test_marked_ones_leave_by_a_proposal(tmp_path, rows):
    repository = tmp_path / "repository"
    shutil.copytree(REPOSITORY, repository)
    with in_process(repository, records=f"sqlite:///{tmp_path}/records.db") as client:
        gateway = client.app.state.gateway
        records_of(client)
        page = client.get("/review/references?by=suspicion").text
        (first, *_), (second, *_) = rows[:2]
        assert f'name="take-{first}"' in page
        form = {f"take-{first}": "on", f"take-{second}": "on", "by": "Anna"}
        answer = client.post("/review/teach/remove", data=form, headers=FORM)
        assert "normal images that leave: 2" in answer.text
        (proposal,) = gateway.teacher.proposals.newest("onegauge")
        assert sorted(proposal.removed) == sorted([first, second])
        client.portal.call(gateway.teacher.withdraw, proposal.number, "Anna")


def test_a_form_that_marks_none_is_refused(client):
    answer = client.post("/review/teach/remove", data={"by": "Anna"}, headers=FORM)
    assert answer.status_code == 409
