from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import combinations, pairwise, permutations
from time import monotonic

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from onegauge.schemas import (
    Answer,
    ModelVersion,
    Options,
    PartDecision,
    ProblemDetails,
    Rejection,
)
from onegauge.service.inspection.inquiry import Inquiry, Seen, Upload
from onegauge.service.inspection.parts import MAX_PARTS, DecidedPart, Parts
from onegauge.service.observe.metrics import Metrics
from rig.pictures import encode
from tests.service.decisions import decision
from tests.service.fake_backend import FakeBackend
from tests.service.served import in_process

TIMEOUT_S = 60.0
BAD = ("bad", "worse")  # pictures that are anomalous
PROBLEM = ProblemDetails(type="/problems/unreadable-image", title="", status=422, detail="")


@dataclass
class Call:
    """Something that is to be called at a time."""

    at: float
    callback: Callable[[], object]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Clock:
    """The time as a test has it."""

    now: float = 1000.0
    calls: list[Call] = field(default_factory=list)

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Call:
        self.calls.append(Call(self.now + delay, callback))
        return self.calls[-1]

    def go_on(self, seconds: float) -> None:
        self.now += seconds
        due = [call for call in self.calls if call.at <= self.now]
        self.calls = [call for call in self.calls if call not in due]
        for call in due:
            if not call.cancelled:
                call.callback()


class World:
    """Parts, their time, and what they told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.metrics = Metrics()
        self.told: list[DecidedPart] = []
        self.parts = Parts(TIMEOUT_S, self.metrics, self.told.append, lambda: self.clock)
        self._taken = 0

    def take(self, *pictures: str | None, **options: object) -> PartDecision | None:
        """What is known after a request with these pictures; None is one without a decision."""
        asked = Options(**{"part": "4711", "views": 3, "line": "press", **options})
        uploads = [Upload(None, 100) for _ in pictures]
        results = []
        for upload, picture in zip(uploads, pictures, strict=True):
            if picture is None:
                results.append(Rejection(index=0, filename=None, problem=PROBLEM))
                continue
            digest = sha256(picture.encode()).digest()
            upload.seen = Seen(1, 1, np.zeros((1, 1), np.float32), digest=digest)
            found = decision(1.5 if picture in BAD else 0.5, unknown=picture == "odd")
            self._taken += 1
            results.append(found.model_copy(update={"inspection": f"{self._taken:032}"}))
        inquiry = Inquiry(uploads, asked, {}, 0)
        return self.parts.take(
            inquiry, Answer(model=ModelVersion(name="m", version="1"), results=results)
        )

    def said(self) -> list[str | None]:
        """The decisions that were told."""
        return [part.decision.decision for part in self.told]


@pytest.fixture
def other() -> bytes:
    """Another normal part."""
    return encode(Image.new("RGB", (96, 64), (50, 50, 50)))


@pytest.fixture
def world() -> World:
    return World()


def in_requests(pictures: Sequence[str]) -> Iterator[list[Sequence[str]]]:
    """Every way to send pictures, in this order, in one request or several."""
    for count in range(len(pictures)):
        for cuts in combinations(range(1, len(pictures)), count):
            yield [pictures[a:b] for a, b in pairwise((0, *cuts, len(pictures)))]


@pytest.mark.parametrize(
    ("pictures", "word"),
    [(("a", "b", "c", "d"), "normal"), (("a", "bad", "c", "d"), "anomalous")],
)
def test_a_part_has_one_decision_in_whatever_order_and_requests_its_views_come(pictures, word):
    ways = [way for order in permutations(pictures) for way in in_requests(order)]
    assert len(ways) == 24 * 8
    for way in ways:
        world = World()
        *early, last = [world.take(*request, views=4) for request in way]
        assert {said.decision for said in early} <= {None}
        assert (last.decision, last.seen, last.missing) == (word, 4, 0)
        (told,) = world.told
        assert (told.line, told.decision) == ("press", last)
        assert len(set(last.inspections)) == 4
        world.clock.go_on(2 * TIMEOUT_S)
        assert world.said() == [word]


def test_the_log_is_of_parts_that_lack_a_view_alone(world, caplog):
    world.take("a", "bad", "c")
    assert caplog.records == []


def test_an_answer_tells_what_is_in_and_what_is_missing(world):
    said = world.take("bad", "b")
    assert said == PartDecision(
        part="4711", views=3, seen=2, missing=1, decision=None, inspections=[f"{1:032}", f"{2:032}"]
    )
    assert world.told == []


@pytest.mark.parametrize(("picture", "word"), [("a", "incomplete"), ("bad", "anomalous")])
def test_a_part_whose_views_do_not_come_is_told_after_its_time(world, picture, word, caplog):
    world.take(picture)
    world.clock.go_on(TIMEOUT_S - 1)
    assert world.told == []
    world.take("b")
    world.clock.go_on(1)
    (told,) = world.told
    assert (told.decision.decision, told.decision.seen, told.decision.missing) == (word, 2, 1)
    (line,) = caplog.records
    assert line.fields == {"line": "press", "part": "4711", "views": 3, "seen": 2}


def test_what_comes_after_the_time_begins_the_part_anew(world):
    world.take("a", "b")
    world.clock.go_on(TIMEOUT_S)
    assert world.take("c").seen == 1
    world.clock.go_on(TIMEOUT_S - 1)
    assert world.said() == ["incomplete"]
    world.clock.go_on(1)
    assert world.said() == ["incomplete", "incomplete"]


def test_a_part_that_comes_again_is_inspected_anew(world):
    world.take("a", "bad", "c")
    assert world.take("d", "e").decision is None
    assert world.take("f").decision == "normal"
    assert world.said() == ["anomalous", "normal"]


def test_views_that_are_sent_again_count_once(world):
    world.take("a", "b")
    assert world.take("b").seen == 2
    assert world.take("b", "a").seen == 2
    assert world.take("a", "b", "c").decision == "normal"
    assert world.said() == ["normal"]


def test_views_that_are_sent_again_are_answered_as_before(world):
    world.take("a", "b")
    said = world.take("bad")
    assert world.take("bad") == said
    assert world.take("a", "b", "bad") == said
    world.clock.go_on(TIMEOUT_S - 1)
    assert world.take("a") == said
    assert world.said() == ["anomalous"]


def test_views_that_are_sent_again_do_no_harm_to_the_next_inspection_of_the_part(world):
    world.take("a", "b", "c")
    world.take("d", "e")
    assert world.take("c").decision == "normal"
    assert world.take("f").inspections == [f"{n:032}" for n in (4, 5, 7)]
    assert world.said() == ["normal", "normal"]


def test_the_same_pictures_long_after_are_an_inspection_of_their_own(world):
    world.take("a", "b", "c")
    world.clock.go_on(TIMEOUT_S)
    assert world.take("a").decision is None
    world.take("b", "c")
    assert world.said() == ["normal", "normal"]


def test_a_new_picture_beside_known_ones_is_an_inspection_of_its_own(world):
    world.take("a", "b", "c")
    assert world.take("a", "b", "bad").decision == "anomalous"
    assert world.said() == ["normal", "anomalous"]


def test_a_camera_that_is_named_may_take_its_picture_again(world):
    world.take("bad", view="left")
    world.take("a", view="right")
    assert world.take("b", view="left").seen == 2
    said = world.take("a", view="top")  # what another camera sees may be the same to the byte
    assert (said.decision, said.seen) == ("normal", 3)
    assert said.inspections == [f"{n:032}" for n in (3, 2, 4)]


def test_a_camera_that_is_named_begins_the_next_inspection_with_another_picture(world):
    for view in ("left", "right", "top"):
        said = world.take(f"{view} 1", view=view)
    assert world.take("left 1", view="left") == said
    assert world.take("left 2", view="left").decision is None


def test_an_image_without_a_decision_is_no_view(world):
    assert world.take("a", None, "b").missing == 1
    assert world.take("c").decision == "normal"
    assert world.take(None, part="4712") is None
    world.clock.go_on(2 * TIMEOUT_S)
    assert world.said() == ["normal"]


def test_without_views_there_is_no_decision_of_a_part(world):
    assert world.take("a", views=None) is None
    assert world.told == []


def test_parts_of_two_lines_are_two(world):
    for line in ("press", "mill", None):
        world.take("a", "b", line=line)
    world.take("bad", line="mill")
    world.take("c", line=None)
    assert [(part.line, part.decision.decision) for part in world.told] == [
        ("mill", "anomalous"),
        (None, "normal"),
    ]


def test_the_number_of_views_is_that_of_the_last_request(world):
    world.take("a", views=4)
    world.take("b", views=4)
    said = world.take("c", views=2)
    assert (said.decision, said.views, said.seen, said.missing) == ("normal", 2, 3, 0)


def test_the_highest_score_and_an_unknown_product_are_told(world):
    world.take("a", "odd", "b")
    world.take("a", "bad", "b", part="4712")
    assert [(part.score, part.unknown_product) for part in world.told] == [
        (0.5, True),
        (1.5, False),
    ]


def test_of_too_many_parts_the_oldest_is_told(world):
    for number in range(MAX_PARTS):
        world.take("a", part=f"{number}")
    assert world.told == []
    world.take("a", part="one more")
    (told,) = world.told
    assert (told.decision.part, told.decision.decision) == ("0", "incomplete")
    assert f"onegauge_parts_waiting {MAX_PARTS}.0" in world.metrics.exposition().decode()


def test_only_so_many_decided_parts_are_remembered(world):
    for number in range(MAX_PARTS + 1):
        world.take("a", part=f"{number}", views=1)
    world.take("a", part="1", views=1)
    assert len(world.told) == MAX_PARTS + 1
    world.take("a", part="0", views=1)
    assert len(world.told) == MAX_PARTS + 2


def test_a_part_that_is_decided_again_has_no_other_forgotten(world):
    for number in range(MAX_PARTS):
        world.take("a", part=f"{number}", views=1)
    world.take("b", part="1", views=1)
    before = len(world.told)
    world.take("a", part="0", views=1)
    world.take("b", part="1", views=1)
    assert len(world.told) == before


def test_at_the_end_all_is_told_once(world):
    world.take("a", part="1")
    world.take("bad", part="2")
    world.parts.stop()
    world.clock.go_on(TIMEOUT_S)
    assert world.said() == ["incomplete", "anomalous"]


def post(client: TestClient, *images: bytes, **options: object) -> dict:
    asked = {"part": "4711", "line": "press", "views": 3, **options}
    response = client.post("/inspect", files=[("image", i) for i in images], params=asked)
    assert response.status_code == 200, response.text
    return response.json()


def until_counted(client: TestClient, sample: str) -> None:
    end = monotonic() + 20
    while sample not in client.get("/metrics").text.splitlines():
        assert monotonic() < end, sample


def test_views_of_one_request_make_the_decision_of_their_part(recording, normal, defective, other):
    client = recording()
    answer = post(client, normal, defective, other)
    assert answer["part"] == {
        "part": "4711",
        "views": 3,
        "seen": 3,
        "missing": 0,
        "decision": "anomalous",
        "inspections": [result["inspection"] for result in answer["results"]],
    }
    until_counted(client, 'onegauge_parts_total{decision="anomalous",line="press"} 1.0')
    assert "onegauge_parts_waiting 0.0" in client.get("/metrics").text


def test_views_of_three_cameras_at_once_make_one_decision(gateway, normal, defective, other):
    backend = FakeBackend()
    client = gateway(backend)
    backend.release.clear()
    with ThreadPoolExecutor(3) as cameras:
        asked = [cameras.submit(post, client, image) for image in (normal, defective, other)]
        assert backend.entered.wait(20)
        backend.release.set()
        said = sorted((one.result()["part"] for one in asked), key=lambda part: part["seen"])
    assert [(part["seen"], part["decision"]) for part in said] == [
        (1, None),
        (2, None),
        (3, "normal"),
    ]
    assert said[-1]["inspections"] == []  # nobody keeps records
    until_counted(client, 'onegauge_parts_total{decision="normal",line="press"} 1.0')


def test_an_image_that_cannot_be_inspected_is_waited_for(client, normal, defective, other):
    answer = post(client, normal, b"no image", other)
    assert (answer["part"]["seen"], answer["part"]["decision"]) == (2, None)
    assert post(client, defective)["part"]["decision"] == "anomalous"


def test_a_part_that_is_not_complete_in_time_is_counted(gateway, normal):
    client = gateway(part_timeout_s=0.01)
    assert post(client, normal)["part"]["missing"] == 2
    until_counted(client, 'onegauge_parts_total{decision="incomplete",line="press"} 1.0')


def test_a_gateway_that_ends_tells_of_parts_that_wait(gauge_repository, normal, caplog):
    with in_process(gauge_repository) as client:
        post(client, normal)
    assert [r.fields["part"] for r in caplog.records if r.name == "onegauge.parts"] == ["4711"]


def test_answers_without_views_have_no_part(client, normal):
    answer = client.post("/inspect", files={"image": normal}, params={"part": "4711"})
    assert answer.json()["part"] is None
