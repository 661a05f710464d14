import re

import pytest

from onegauge.records.record import Judgement
from tests.records.made import decided
from tests.service.review.conftest import ANNA, FORM

NASTY = "<script>alert(1)</script>\"'&"


def shown(page: str) -> str:
    """The id of the inspection that a page shows."""
    return re.search(r'action="/review/([0-9a-f]{32})/verdict"', page)[1]


def listed(page: str) -> list[str]:
    tiles = re.findall(r'<a class="tile [^"]*" href="/review/([0-9a-f]{32})', page)
    return list(dict.fromkeys(tiles))


def test_the_first_page_names_the_part_of_each_inspection(review):
    made = [review.add(number) for number in range(3)]
    page = review.client.get("/review").text
    assert all(record.part in page for record in made)
    assert listed(page) == [record.id for record in reversed(made)]
    assert shown(page) == made[-1].id


def test_the_nearest_to_the_threshold_come_first_where_that_is_asked(review):
    far, near, over = (review.add(n, score=score) for n, score in enumerate((0.1, 0.99, 1.4)))
    page = review.client.get("/review?order=nearest").text
    assert listed(page) == [near.id, over.id, far.id]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("part=4712", [1]),
        ("part=+4712+", [1]),
        ("line=press-4", [1, 2]),
        ("decision=anomalous", [2]),
        ("verdict=confirmed", [0]),
        ("verdict=none", [1, 2]),
        ("min_score=0.5", [1, 2]),
        ("max_score=0.5", [0]),
        ("since=2025-03-03T06:00:01&until=2025-03-03T06:00:02", [1]),
        ("part=&line=&decision=&verdict=&since=&min_score=", [0, 1, 2]),
        ("part=%27+OR+1%3D1", []),
    ],
)
def test_a_search_finds_what_is_like_that(review, query, found):
    made = [
        review.add(0, part="4711", line="press-3", score=0.1),
        review.add(1, part="4712", line="press-4", score=0.8),
        review.add(2, part="4713", line="press-4", score=1.3, decision="anomalous"),
    ]
    review.history.judge(made[0].id, "confirmed", by="Ben")
    page = review.client.get(f"/review?{query}").text
    assert listed(page) == [made[number].id for number in reversed(found)]


@pytest.mark.parametrize(
    "query", ["min_score=high", "order=random", "since=today", "part=" + "x" * 129]
)
def test_a_search_that_means_nothing_is_told_so(review, query):
    answer = review.client.get(f"/review?{query}")
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.text
    assert answer.headers["Content-Type"].startswith("text/html")


def test_times_are_those_of_who_looks(review):
    review.add(0)
    review.client.cookies.set("onegauge_zone", "Europe%2FBerlin", path="/review")
    page = review.client.get("/review?since=2025-03-03T06:59&until=2025-03-03T07:01").text
    assert "2025-03-03 07:00:00 CET" in page
    review.client.cookies.set("onegauge_zone", "..%2F..%2Fetc%2Fpasswd", path="/review")
    assert "06:00:00 UTC" in review.client.get("/review").text


def test_a_long_list_goes_on_and_keeps_what_is_looked_for(review):
    made = [review.add(number, line="press-3") for number in range(60)]
    first = review.client.get("/review?line=press-3").text
    assert len(listed(first)) == 50
    further = re.search(r'class="further" href="([^"]+)"', first)[1].replace("&amp;", "&")
    second = review.client.get(further).text
    assert listed(second) == [record.id for record in reversed(made[:10])]
    last = review.client.get(f"/review/{listed(first)[-1]}?line=press-3").text
    on = re.search(r'href="([^"]+)" data-key="j"', last)[1].replace("&amp;", "&")
    assert listed(review.client.get(on).text) == listed(second)


def test_a_verdict_is_kept_with_who_and_why_and_the_next_is_shown(review):
    older, newer = review.add(0), review.add(1)
    address = review.judge(newer.id, "unclear", note="burr?", then=f"/review/{older.id}?line=press")
    assert address == f"/review/{older.id}?line=press&judged={newer.id}"
    (said,) = review.history.get(newer.id).judgements
    assert said == Judgement(newer.id, said.time, "unclear", "Anna", "burr?")
    page = review.client.get(address).text
    assert shown(page) == older.id
    assert f'action="/review/{newer.id}/undo"' in page


def test_the_form_of_a_verdict_leads_to_the_next_one(review):
    made = [review.add(number) for number in range(3)]
    page = review.client.get("/review?verdict=none").text
    then = re.search(r'name="then" value="([^"]+)"', page)[1].replace("&amp;", "&")
    assert then == f"/review/{made[1].id}?verdict=none"


def test_who_is_kept_for_the_next_verdict(review):
    made = review.add()
    review.judge(made.id, "confirmed", by=" Änne\n Müller ")
    assert 'value="Änne Müller"' in review.client.get("/review").text


def test_a_note_is_kept_as_far_as_a_database_takes_it(review):
    made = review.add()
    review.judge(made.id, "unclear", note=" burr\0\r\n" + "x" * 600)
    (said,) = review.history.get(made.id).judgements
    assert said.note == "burr" + "x" * 496


def test_a_verdict_is_taken_back_and_the_history_stays(review):
    made = review.add()
    review.judge(made.id, "missed")
    data = {"then": f"/review/{made.id}"}
    path = f"/review/{made.id}/undo"
    answer = review.client.post(path, data=data, headers=FORM, follow_redirects=False)
    assert answer.headers["Location"] == f"/review/{made.id}"
    assert [said.verdict for said in review.history.get(made.id).judgements] == ["missed", None]
    assert "Taken back" in review.client.get(f"/review/{made.id}").text


def test_a_verdict_of_the_whole_part_is_of_its_other_pictures_and_taken_back_with_them(review):
    views = [review.add(n, part="4711", decision="anomalous") for n in range(2)]
    alone = review.add(2, part="4712")
    assert 'name="whole_part"' in review.client.get(f"/review/{views[0].id}").text
    assert 'name="whole_part"' not in review.client.get(f"/review/{alone.id}").text
    review.judge(views[0].id, "false_alarm", whole_part="on")
    assert [review.history.get(view.id).verdict for view in views] == ["false_alarm"] * 2
    data = {"then": "/review"}
    review.client.post(f"/review/{views[1].id}/undo", data=data, headers=FORM)
    assert [review.history.get(view.id).verdict for view in views] == [None, None]


def buttons(page: str, name: str) -> dict[str, str]:
    """The verdicts of a name that a page offers, and the path that each is sent to, if its own."""
    found = re.findall(rf'<button name="{name}" value="(\w+)"([^>]*)>', page)
    offered = {value: rest for value, rest in found if "disabled" not in rest}
    return {
        v: (re.findall(r'formaction="([^"]+)"', rest) or [""])[0] for v, rest in offered.items()
    }


def test_a_part_of_several_views_is_shown_with_its_one_decision_and_judged_in_one_stroke(review):
    older = review.add(0)
    decisions = ("normal", "anomalous", "normal")
    views = [review.add(n + 1, part="4711", decision=d) for n, d in enumerate(decisions)]
    review.history.add([decided(views, views=4)])
    page = review.client.get(f"/review/{views[2].id}").text
    whole = page.partition('class="whole-part"')[2].partition("</section>")[0]
    assert re.findall(r'href="/review/([0-9a-f]{32})"', whole) == [view.id for view in views]
    assert "Anomalous" in whole.partition("</h3>")[0]
    assert "3 of 4 views" in whole
    assert "Other pictures of" not in page
    assert 'name="whole_part"' not in page
    assert "missed" not in buttons(page, "part_verdict")
    path = buttons(page, "part_verdict")["false_alarm"]
    assert path == f"/review/{views[1].id}/verdict"
    then = re.search(r'name="then" value="([^"]+)"', page)[1]
    data = {"part_verdict": "false_alarm", "then": then, **ANNA}
    answer = review.client.post(path, data=data, headers=FORM, follow_redirects=False)
    assert answer.headers["Location"] == f"/review/{older.id}?judged={views[1].id}"
    verdicts = [review.history.get(view.id).verdict for view in views]
    assert verdicts == ["confirmed", "false_alarm", "confirmed"]
    printed = review.client.get(f"/review/{views[0].id}/print").text
    assert "Anomalous, 3 of 4 views" in printed


@pytest.mark.parametrize(
    ("decision", "off"), [("normal", "false_alarm"), ("incomplete", "false_alarm")]
)
def test_a_part_that_was_not_called_anomalous_is_no_false_alarm(review, decision, off):
    views = [review.add(n, part="4711") for n in range(2)]
    review.history.add([decided(views, views=3, decision=decision)])
    offered = buttons(review.client.get(f"/review/{views[0].id}").text, "part_verdict")
    assert {"confirmed", "false_alarm", "missed", "unclear"} - offered.keys() == {off}


def test_parts_are_listed_once_each_by_the_worst_of_their_views(review):
    older = review.add(0)
    scores = (0.2, 1.9, 1.4)
    views = [review.add(n + 1, part="4711", score=s) for n, s in enumerate(scores)]
    newer, unfinished = review.add(5), review.add(6, part="4712")
    review.history.add([decided(views), decided([unfinished], views=2, decision="incomplete")])
    page = review.client.get("/review").text
    assert listed(page) == [unfinished.id, newer.id, views[1].id, older.id]
    assert "Incomplete" in page
    assert listed(review.client.get("/review?part_decision=incomplete").text) == [unfinished.id]
    for view in views:  # wherever one looks, its neighbours are other parts
        page = review.client.get(f"/review/{view.id}").text
        steps = re.findall(r'href="/review/([0-9a-f]{32})" data-key="[jk]"', page)
        assert steps == [newer.id, older.id]
        marked = re.findall(r'<a class="tile [^"]*" href="/review/(\w+)" aria-current="true"', page)
        assert marked == [views[1].id]
    review.history.judge(views[0].id, "missed", by="Ada")
    assert listed(review.client.get("/review?verdict=missed").text) == [views[0].id]
    assert views[1].id in listed(review.client.get("/review?verdict=none").text)


def test_a_part_of_one_view_is_a_picture_like_others(review):
    only = review.add(0, part="4711")
    review.history.add([decided([only])])
    assert "whole-part" not in review.client.get(f"/review/{only.id}").text


@pytest.mark.parametrize("fields", [{"verdict": "good"}, {"by": " \n"}, {"verdict": ""}])
def test_what_is_no_verdict_is_refused(review, fields):
    made = review.add()
    data = {"verdict": "confirmed", "by": "Anna"} | fields
    answer = review.client.post(f"/review/{made.id}/verdict", data=data, headers=FORM)
    assert answer.status_code == 422
    assert review.history.get(made.id).judgements == []


@pytest.mark.parametrize(("decision", "off"), [("normal", "false_alarm"), ("anomalous", "missed")])
def test_a_verdict_that_cannot_be_is_not_offered(review, decision, off):
    review.add(decision=decision)
    buttons = re.findall(
        r'<button name="verdict" value="(\w+)"[^>]*?( disabled)?>',
        review.client.get("/review").text,
    )
    assert [name for name, disabled in buttons if disabled] == [off]


def test_other_pictures_of_the_same_part_are_beside_it(review):
    left, right, _ = (review.add(n, part=part) for n, part in enumerate(("4711", "4711", "4712")))
    page = review.client.get(f"/review/{right.id}").text
    assert left.id in page.partition("Other pictures of 4711")[2]


@pytest.mark.parametrize("path", ["{}", "{}/print", "{}/comparison"])
def test_an_id_that_no_inspection_has_is_told_so(review, path):
    answer = review.client.get(f"/review/{path.format('0' * 32)}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize("of", ["", "/picture", "/layer", "/thumbnail", "/print", "/comparison"])
def test_no_other_id_reaches_anything(review, of):
    for path in ("..%2F..%2Fetc%2Fpasswd", "%00", "static/..%2Froutes.py", "A" * 32, "0" * 31):
        assert review.client.get(f"/review/{path}{of}").status_code in (404, 422), path


def test_nothing_that_came_with_an_image_is_taken_for_html(review):
    made = review.add_seen(part=NASTY, line=NASTY, filename=NASTY, request_id="x", key=NASTY)
    review.judge(made.id, "unclear", note=NASTY, by=NASTY)
    for path in (
        "/review",
        f"/review/{made.id}",
        f"/review/{made.id}/print",
        f"/review?part={NASTY}",
    ):
        page = review.client.get(path, params={"judged": made.id}).text
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_an_empty_page_says_so(review):
    assert "Nothing has been inspected yet." in review.client.get("/review").text
    assert "No inspection is like that." in review.client.get("/review?part=1").text


def test_the_printed_page_names_what_proves_the_decision(review):
    made = review.add_seen(
        part="4711", score=1.2345, decision="anomalous", model_digest="c0ffee" * 8
    )
    review.judge(made.id, "confirmed", note="scratch at the rim")
    page = review.client.get(f"/review/{made.id}/print").text
    for told in (
        "4711",
        "1.2345",
        "c0ffee" * 8,
        made.picture,
        made.id,
        "Anna",
        "scratch at the rim",
    ):
        assert told in page


def test_a_browser_may_load_nothing_from_elsewhere(review):
    headers = review.client.get("/review").headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"


def test_who_marks_a_missed_defect_is_led_to_the_threshold_that_finds_it(review):
    missed = review.add_seen(0, score=0.876)
    review.judge(missed.id, "missed")
    page = review.client.get(f"/review/{missed.id}").text
    assert 'href="/review/threshold?threshold=0.87"' in page
    assert "is not learnt so" in page
