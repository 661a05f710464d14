"""Lines of any name have topics of their own."""

import pytest

from onegauge.service.sinks.event import PART
from onegauge.service.sinks.mqtt.topics import Topics
from tests.service.sinks.made import event


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("press 3", "press 3"),
        ("Straße", "Straße"),
        ("hall/press", "hall%2Fpress"),
        ("+", "%2B"),
        ("#", "%23"),
        ("%2B", "%252B"),
        ("a\nb", "a%0Ab"),
        ("a\ufdd0", "a%EF%B7%90"),
        ("", "-"),
        (None, "-"),
    ],
)
def test_a_line_is_one_level(line, level):
    topics = Topics("plant/onegauge", "hall-1")
    assert topics.of(event(1, line=line)) == f"plant/onegauge/{level}/inspection"
    assert topics.last(event(1, line=line)) == f"plant/onegauge/{level}/last"


def test_what_differs_is_the_last_level():
    topics = Topics("onegauge", "press-3")
    assert topics.of(event(1, line="press-3", type=PART)) == "onegauge/press-3/part"
    assert topics.status == "onegauge/press-3/status"
