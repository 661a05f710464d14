import pytest

from onegauge.service.http.keys import add_key
from onegauge.service.review.visitor import FORM_BYTES
from tests.service.review.conftest import FORM

OWN = {"Sec-Fetch-Site": "same-origin"}
FOREIGN = [
    {},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://testserver.evil.example"},
    {"Origin": "http://testserver:81"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", **FORM},
    {"Sec-Fetch-Site": "none", **FORM},
]


@pytest.mark.parametrize("action", ["verdict", "undo"])
def test_no_other_site_can_judge(review, action):
    made = review.add()
    review.history.judge(made.id, "unclear", by="Ben")
    for headers in FOREIGN:
        data = {"verdict": "confirmed", "by": "Eve"}
        answer = review.client.post(f"/review/{made.id}/{action}", data=data, headers=headers)
        assert answer.status_code == 403, headers
        assert "not sent by a page of this gateway" in answer.text
    assert [said.by for said in review.history.get(made.id).judgements] == ["Ben"]


@pytest.mark.parametrize("path", ["/review/login", "/review/logout"])
def test_no_other_site_can_log_in_or_out(start, tmp_path, path):
    secret = add_key(tmp_path / "keys", "shift-1", ["review"])
    client = start(api_keys=tmp_path / "keys").client
    for headers in FOREIGN:
        answer = client.post(path, data={"key": secret}, headers=headers, follow_redirects=False)
        assert answer.status_code == 403, headers
        assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("headers", [FORM, OWN, FORM | OWN], ids=str)
def test_the_page_itself_can(review, headers):
    made = review.add()
    data = {"verdict": "confirmed", "by": "Anna"}
    answer = review.client.post(
        f"/review/{made.id}/verdict", data=data, headers=headers, follow_redirects=False
    )
    assert answer.status_code == 303
    assert review.history.get(made.id).verdict == "confirmed"


def test_a_form_is_not_read_beyond_its_bound(review):
    made = review.add()
    data = {"verdict": "confirmed", "by": "Anna", "note": "x" * FORM_BYTES}
    answer = review.client.post(f"/review/{made.id}/verdict", data=data, headers=FORM)
    assert answer.status_code == 413
    assert review.history.get(made.id).verdict is None
