"""What the benchmarks find on a page."""

from bench.support.page import Form, Page

HTML = """
<form method="get" action="/search"><input name="part" value="4711"></form>
<form method="post" action="/a/verdict">
<button disabled hidden></button>
<input type="hidden" name="then" value="/a?order=newest&amp;line=press">
<input type="checkbox" name="ticked" checked><input type="checkbox" name="not">
<button name="verdict" value="confirmed">C</button>
<button name="verdict" value="missed" disabled>M</button>
<button formaction="/a/shadow">S</button>
</form>
<button name="outside">O</button>
"""


def test_what_a_browser_would_send_is_found():
    page = Page(HTML)
    (form,) = page.forms
    assert form == Form(
        "/a/verdict",
        {"then": "/a?order=newest&line=press", "ticked": "on"},
        [{"name": "verdict", "value": "confirmed"}, {"formaction": "/a/shadow"}],
    )
    assert page.forms_to("/verdict") == [form]
    assert page.forms_to("/propose") == []
