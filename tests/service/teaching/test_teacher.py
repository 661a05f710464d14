"""From false alarms to a version that knows better, and back."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from demo.products import render_defective, render_normal
from demo.products.tree import generator
from onegauge.export.publish import add_version, publish
from onegauge.library.library import FILE, load
from onegauge.service.errors import NoProposal, TeachingRefused
from onegauge.service.model.repository import read_config, served_version, stored_versions
from onegauge.service.settings import default_repository
from rig.address import free_address
from rig.tritonserver import tritonserver
from tests.service.served import in_process, records_of

SEED = 7
WITHIN_S = 600  # a version is made at a low priority: beside other work that takes its time


def picture(product: str, index: int, *, defective: bool = False, negative: bool = False) -> bytes:
    """A file of a product; its `negative` is one that no model knows."""
    render = render_defective if defective else render_normal
    rng = generator(SEED, product, "defective" if defective else "train", index)
    image = render(product, rng, 256)
    pixels = image[0] if defective else image
    file = BytesIO()
    Image.fromarray(255 - pixels if negative else pixels).save(file, "JPEG", quality=95)
    return file.getvalue()


@contextmanager
def taught(repository: Path, folder: Path, **options: object) -> Iterator[SimpleNamespace]:
    """A gateway of a repository, which remembers in a folder, and its teacher."""
    options |= {"records": f"sqlite:///{folder}/records.db", "keep": "all", "shadow_share": 1.0}
    with in_process(repository, **options) as client:
        gateway = client.app.state.gateway
        records_of(client)
        yield SimpleNamespace(client=client, gateway=gateway, teacher=gateway.teacher)


@pytest.fixture
def line(trained_repository: Path, tmp_path: Path):
    """One with a copy of the trained model."""
    repository = shutil.copytree(trained_repository, tmp_path / "repository")
    with taught(repository, tmp_path) as line:
        yield line


@pytest.fixture
def bundled_line(tmp_path: Path):
    """One with a copy of the bundled model."""
    repository = tmp_path / "repository"
    shutil.copytree(default_repository() / "onegauge", repository / "onegauge")
    with taught(repository, tmp_path) as line:
        yield line


@pytest.fixture
def line_before_triton(trained_repository: Path, tmp_path: Path):
    """One whose model, a copy of the trained one, is run by a real Triton."""
    repository, address = tmp_path / "repository", free_address()
    stored = served_version(trained_repository / "onegauge")
    config = read_config(stored.folder, "config.pbtxt")
    config.backend = "python"  # this Triton has no other
    library = load(stored.folder / FILE)
    add_version(repository, config, stored.model_file(), stored.verification(), library=library)
    publish(repository, "onegauge", 1)
    explicit = ("--model-control-mode=explicit", "--load-model=onegauge")  # as compose has it
    with (
        tritonserver(repository, tmp_path / "log", address, *explicit),
        taught(repository, tmp_path, backend="triton", triton_url=address) as line,
    ):
        yield line


def inspect(line, data: bytes) -> dict:
    """The answer for one image."""
    return line.client.post("/v1/inspect", files={"image": data}).json()["results"][0]


def take(line, step, *arguments):
    """Have the teacher do something on the gateway's loop."""
    return line.client.portal.call(step, *arguments)


def made(line, number: int):
    """A proposal, once it is made."""
    give_up = time.monotonic() + WITHIN_S
    while (proposal := line.teacher.proposals.get(number)).state == "making":
        assert time.monotonic() < give_up
        time.sleep(0.2)
    return proposal


def judge(line, answers, verdict: str) -> None:
    line.client.portal.call(line.gateway.records.flush)
    history = line.gateway.records.history
    for answer in answers:
        history.judge(answer["inspection"], verdict, by="anna")


def anomalous(answers) -> int:
    return sum(answer["decision"] == "anomalous" for answer in answers)


def test_false_alarms_of_a_new_product_end_and_nothing_else_changes(bundled_line):
    line = bundled_line
    pictures = {
        "new": [picture("cap", n, negative=True) for n in range(20)],
        "its defects": [picture("cap", n, defective=True, negative=True) for n in range(4)],
        "known": [picture("wood", n) for n in range(6)],
        "known defects": [picture("wood", n, defective=True) for n in range(4)],
    }

    def inspect_all():
        return {kind: [inspect(line, data) for data in some] for kind, some in pictures.items()}

    before = inspect_all()
    assert [anomalous(answers) for answers in before.values()] == [20, 4, 0, 4]
    teacher = line.teacher
    judge(line, before["its defects"] + before["known defects"], "confirmed")
    judge(line, before["new"][:6], "false_alarm")
    undecided = {found.id for found in teacher.lessons.unknown("onegauge")}
    rest = [answer["inspection"] for answer in before["new"][6:]]
    assert set(rest) <= undecided
    teacher.lessons.decide(rest[:6], "new_product", by="bert", product="negative")

    begun = line.client.post("/v1/proposals", json={"by": "anna"})
    assert (begun.status_code, begun.json()["state"]) == (201, "making")
    number = begun.json()["number"]
    with pytest.raises(TeachingRefused, match="under way|Nothing is marked"):
        take(line, teacher.propose, "bert")
    proposal = made(line, number)
    assert proposal.state == "candidate", proposal.error
    assert "12 images become references" in proposal.said[0]
    assert teacher.served == "1"
    effect = proposal.effect
    assert effect["learnt"] == 12
    assert effect["by_verdict"]["confirmed"] == {"images": 8, "before": 8, "after": 8}
    assert effect["by_verdict"]["none"] == {"images": 14, "before": 8, "after": 0}
    assert set(effect["no_longer_anomalous"]) == set(rest[6:])
    assert teacher.lessons.open("onegauge") == []

    take(line, teacher.shadow, number, "bert")
    assert teacher.shadows("2")
    inspect(line, pictures["known"][0])
    give_up = time.monotonic() + WITHIN_S
    while teacher.agreement("2") != (1, 0):
        assert time.monotonic() < give_up
        time.sleep(0.05)
    path = f"/v1/proposals/{number}"
    assert line.client.get(path).json()["trial"] == {"same": 1, "other": 0}

    told = line.client.put(f"{path}/state", json={"state": "served", "by": "carla"})
    assert (told.json()["state"], told.json()["trial"]) == ("served", None)
    after = inspect_all()
    assert [anomalous(answers) for answers in after.values()] == [0, 4, 0, 4]
    assert not teacher.shadows("2")

    line.client.put(f"{path}/state", json={"state": "rolled_back", "by": "dora"})
    again = inspect_all()
    assert [anomalous(answers) for answers in again.values()] == [20, 4, 0, 4]
    assert len(teacher.lessons.open("onegauge")) == 12
    steps = [(step.state, step.by) for step in teacher.proposals.get(number).steps]
    assert steps == [
        ("making", "anna"),
        ("candidate", None),
        ("shadowed", "bert"),
        ("served", "carla"),
        ("rolled_back", "dora"),
    ]


@pytest.mark.triton
def test_a_model_that_triton_runs_is_taught_tried_served_and_taken_back(line_before_triton):
    line = line_before_triton
    new = [picture("cap", n, negative=True) for n in range(8)]
    before = [inspect(line, data) for data in new]
    assert anomalous(before) == 8
    judge(line, before, "false_alarm")
    number = take(line, line.teacher.propose, "anna")
    proposal = made(line, number)
    assert (proposal.state, proposal.version) == ("candidate", "2"), proposal.error

    take(line, line.teacher.shadow, number, "bert")
    assert anomalous([inspect(line, new[0])]) == 1
    give_up = time.monotonic() + WITHIN_S
    while line.teacher.agreement("2") != (0, 1):
        assert time.monotonic() < give_up
        time.sleep(0.05)

    take(line, line.teacher.serve, number, "carla")
    assert anomalous([inspect(line, data) for data in new]) == 0
    take(line, line.teacher.roll_back, number, "dora")
    assert anomalous([inspect(line, data) for data in new]) == 8


def test_nothing_is_taught_from_nothing(line):
    with pytest.raises(TeachingRefused, match="Nothing is marked"):
        take(line, line.teacher.propose, "anna")
    with pytest.raises(NoProposal, match="no proposal 7"):
        take(line, line.teacher.serve, 7, "anna")


def test_a_proposal_that_cannot_be_made_tells_why_and_frees_its_images(line, tmp_path):
    judge(line, [inspect(line, picture("ring", 0))], "false_alarm")
    (library,) = (tmp_path / "repository").rglob("verification.npz")
    library.unlink()  # without which no version is made
    proposal = made(line, take(line, line.teacher.propose, "anna"))
    assert proposal.state == "failed"
    assert "has no images to verify a next version by" in proposal.error
    assert len(line.teacher.lessons.open("onegauge")) == 1


def test_a_proposal_that_is_being_made_can_be_withdrawn(line, tmp_path):
    judge(line, [inspect(line, picture("ring", 0))], "false_alarm")
    number = take(line, line.teacher.propose, "anna")
    take(line, line.teacher.withdraw, number, "anna")
    assert line.teacher.proposals.get(number).state == "withdrawn"
    assert stored_versions(tmp_path / "repository" / "onegauge") == [1]
    assert len(line.teacher.lessons.open("onegauge")) == 1


def test_references_leave_by_a_proposal_too(line, tmp_path):
    answer = line.client.post(
        "/v1/inspect", params={"explain": True}, files={"image": picture("ring", 0)}
    ).json()["results"][0]
    (reference, *_) = answer["explanation"]["references"]
    number = take(line, line.teacher.propose, "anna", [reference["id"]])
    proposal = made(line, number)
    assert (proposal.state, proposal.version) == ("candidate", "2"), proposal.error
    assert "1 images leave, 59 references stay" in proposal.said[0]
    served = served_version(tmp_path / "repository" / "onegauge").contract
    assert served.version == "1"
    take(line, line.teacher.withdraw, number, "anna")


def test_a_version_that_was_published_otherwise_is_not_overruled(line, tmp_path):
    folder = tmp_path / "repository" / "onegauge"
    judge(line, [inspect(line, picture("ring", 0))], "false_alarm")
    number = take(line, line.teacher.propose, "anna")
    assert made(line, number).state == "candidate"
    shutil.copytree(folder / "1", folder / "3")
    config = (folder / "config.pbtxt").read_text()
    assert "versions: [1]" in config
    (folder / "config.pbtxt").write_text(config.replace("versions: [1]", "versions: [3]"))
    take(line, line.gateway.versions.refresh)
    with pytest.raises(TeachingRefused, match="Version 3 is served"):
        take(line, line.teacher.serve, number, "anna")


def test_a_gateway_that_cannot_change_its_model_says_so(line, tmp_path):
    assert line.teacher.hindrance() is None
    (tmp_path / "repository" / "onegauge" / "1" / "library.npz").unlink()
    assert line.teacher.hindrance() == "library"
    config = tmp_path / "repository" / "onegauge" / "config.pbtxt"
    config.write_text(config.read_text().replace('"0.05"', '"0.02"'))
    assert line.teacher.hindrance() == "repository"
    with pytest.raises(TeachingRefused, match="repository"):
        take(line, line.teacher.propose, "anna")
