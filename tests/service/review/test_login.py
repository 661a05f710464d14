from pathlib import Path

import pytest

from onegauge.service.http.keys import add_key
from onegauge.service.review.session import COOKIE
from tests.service.review.conftest import FORM


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return tmp_path / "keys"


@pytest.fixture
def page(start, keys):
    """A page for those who log in, and one inspection on it."""
    add_key(keys, "other", ["inspect", "read", "admin"])
    review = start(api_keys=keys)
    return review, review.add_seen(part="4711")


def log_in(client, secret: str, then: str = "/review", **headers: str):
    data = {"key": secret, "then": then}
    return client.post("/review/login", data=data, headers=FORM | headers, follow_redirects=False)


def paths(inspection: str) -> list[str]:
    of_one = ("", "/print", "/comparison", "/picture", "/thumbnail", "/layer")
    return [
        "/review",
        "/review?part=4711",
        *(f"/review/{inspection}{path}" for path in of_one),
        "/review/references/0123456789ab/thumbnail",
    ]


def assert_sees_nothing(client, inspection: str) -> None:
    for path in paths(inspection):
        answer = client.get(path, follow_redirects=False)
        assert answer.status_code == 303, path
        assert answer.headers["Location"].startswith("/review/login?then=/review")
        assert "4711" not in answer.text
    for action in ("verdict", "undo"):
        data = {"verdict": "confirmed", "by": "Eve"}
        answer = client.post(
            f"/review/{inspection}/{action}", data=data, headers=FORM, follow_redirects=False
        )
        assert answer.headers["Location"].startswith("/review/login")


def test_who_is_not_logged_in_sees_nothing(page):
    review, made = page
    assert_sees_nothing(review.client, made.id)
    assert review.history.get(made.id).judgements == []


def test_a_key_without_the_scope_sees_nothing(page, keys):
    review, made = page
    secret = add_key(keys, "press-3", ["inspect", "read"])
    answer = log_in(review.client, secret)
    assert answer.status_code == 403
    assert "has not the scope review" in answer.text
    assert_sees_nothing(review.client, made.id)


def test_a_wrong_key_is_told_so_and_not_echoed(page):
    answer = log_in(page[0].client, "og_wrong")
    assert answer.status_code == 401
    assert "not known" in answer.text
    assert "og_wrong" not in answer.text


def test_a_key_with_the_scope_opens_the_page_and_goes_where_it_was_asked_for(page, keys):
    review, made = page
    secret = add_key(keys, "shift-1", ["review"])
    answer = log_in(review.client, secret, then=f"/review/{made.id}?line=press")
    assert answer.headers["Location"] == f"/review/{made.id}?line=press"
    cookie = answer.headers["Set-Cookie"]
    assert secret not in cookie
    assert all(word in cookie for word in ("HttpOnly", "SameSite=strict", "Path=/review"))
    assert "Secure" not in cookie
    shown = review.client.get(f"/review/{made.id}").text
    assert "shift-1" in shown
    assert 'name="by"' not in shown
    review.judge(made.id, "confirmed", by="somebody else")
    assert review.history.get(made.id).judgements[0].by == "shift-1"


def test_under_tls_the_cookie_stays_there(page, keys):
    secret = add_key(keys, "shift-1", ["review"])
    answer = log_in(page[0].client, secret, Origin="https://testserver")
    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_key_that_is_removed_ends_its_session(page, keys):
    review, made = page
    before = keys.read_text()
    log_in(review.client, add_key(keys, "shift-1", ["review"]))
    assert review.client.get("/review", follow_redirects=False).status_code == 200
    keys.write_text(before)
    assert_sees_nothing(review.client, made.id)


def test_a_key_that_loses_the_scope_ends_its_session(page, keys):
    review, made = page
    log_in(review.client, add_key(keys, "shift-1", ["review"]))
    keys.write_text(keys.read_text().replace("shift-1 review", "shift-1 read"))
    assert_sees_nothing(review.client, made.id)


def test_who_logs_out_is_out(page, keys):
    review, made = page
    log_in(review.client, add_key(keys, "shift-1", ["review"]))
    review.client.post("/review/logout", headers=FORM)
    assert COOKIE not in review.client.cookies
    assert_sees_nothing(review.client, made.id)


@pytest.mark.parametrize(
    "then",
    [
        "https://evil.example",
        "//evil.example",
        "/review@evil.example",
        "/reviewed",
        "/review\r\nX: y",
    ],
)
def test_a_login_leads_to_no_other_site(page, keys, then):
    secret = add_key(keys, "shift-1", ["review"])
    assert log_in(page[0].client, secret, then=then).headers["Location"] == "/review"


def test_where_keys_are_off_nobody_is_asked(review):
    assert review.client.get("/review", follow_redirects=False).status_code == 200


def test_a_language_is_kept(review):
    german = {"Accept-Language": "de"}
    assert 'lang="de"' in review.client.get("/review", headers=german).text
    review.client.get("/review/language/en?then=/review")
    assert '<html lang="en">' in review.client.get("/review", headers=german).text
