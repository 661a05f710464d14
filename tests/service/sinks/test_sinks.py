"""Sinks of a gateway in this process, which tell a real receiver."""

import socket
import subprocess
import sys

import pytest

from onegauge.service.sinks.errors import InvalidSinks
from tests.line import wait_until


def send(client, *images, **options) -> list[str | None]:
    """Ids of the inspections."""
    files = [("image", image) for image in images]
    answer = client.post("/inspect", files=files, params=options).json()
    return [result.get("inspection") for result in answer["results"]]


def state(client):
    (told,) = client.get("/v1/sinks").json()["sinks"]
    return told


def test_each_decision_is_told_by_the_id_of_its_answer(telling, mes, normal, defective):
    client = telling(source="hall-2")
    ids = send(client, normal, defective, b"no image", line="press", part="4711")
    assert ids[2] is None  # it has no decision
    wait_until(lambda: mes.ids == ids[:2])
    first, second = mes.taken
    assert (first["source"], first["line"], first["subject"]) == (
        "/onegauge/hall-2",
        "press",
        "4711",
    )
    assert first["data"]["inspection"] == ids[0]
    assert [first["data"]["decision"], second["data"]["decision"]] == ["normal", "anomalous"]
    assert second["data"]["regions"][0]["box"] == [64, 16, 16, 8]
    wait_until(lambda: state(client)["events"] == {"delivered": 2})


def test_a_part_is_told_after_its_views(telling, mes, normal, defective):
    client, asked = telling(), {"line": "press", "part": "4711", "views": 2}
    ids = send(client, normal, **asked) + send(client, defective, **asked)
    wait_until(lambda: len(mes.taken) == 3)
    *views, part = mes.taken
    assert [(view["id"], view["data"]["views"]) for view in views] == [(ids[0], 2), (ids[1], 2)]
    assert (part["type"], part["line"], part["subject"]) == ("onegauge.part", "press", "4711")
    assert part["id"][:12] >= ids[1][:12]  # their milliseconds; the rest is by chance
    assert (part["data"]["decision"], part["data"]["inspections"]) == ("anomalous", ids)
    assert part["data"]["score"] == max(view["data"]["score"] for view in views)


def test_a_part_that_lacks_a_view_is_told_when_its_time_is_over(telling, mes, sinks_file, normal):
    sinks_file.write_text(sinks_file.read_text() + 'send = "anomalous"\n')
    send(telling(part_timeout_s=0.01), normal, part="4711", views=2)
    wait_until(lambda: mes.taken)
    (part,) = mes.taken
    assert (part["data"]["decision"], part["data"]["missing"]) == ("incomplete", 1)


def test_a_part_that_waits_is_told_at_the_end(telling, mes, normal):
    client = telling()
    send(client, normal, part="4711", views=2)
    client.__exit__()
    assert [event["type"] for event in mes.taken] == ["onegauge.inspection", "onegauge.part"]


def test_where_nothing_else_is_said_the_source_is_this_machine(telling, mes, normal):
    send(telling(), normal)
    wait_until(lambda: mes.taken)
    assert mes.taken[0]["source"] == f"/onegauge/{socket.gethostname()}"


def test_records_and_events_have_the_same_id(telling, mes, normal, tmp_path):
    client = telling(records=f"sqlite:///{tmp_path}/records.db")
    (made,) = send(client, normal)
    wait_until(lambda: mes.ids == [made])
    assert client.get(f"/v1/inspections/{made}").json()["id"] == made


def test_what_a_gateway_could_not_deliver_the_next_one_does(telling, mes, normal, tmp_path):
    mes.answer.status = 503
    client = telling(sinks_spool=tmp_path / "elsewhere")
    ids = send(client, normal, normal)
    client.__exit__()
    assert list((tmp_path / "elsewhere" / "mes").glob("*.jsonl"))
    mes.answer.status = 204
    later = telling(sinks_spool=tmp_path / "elsewhere")
    ids += send(later, normal)
    wait_until(lambda: mes.ids == ids)


def test_by_default_what_waits_lies_beside_the_file(telling, mes, normal, tmp_path):
    mes.answer.status = 503
    client = telling()
    send(client, normal)
    wait_until(lambda: state(client)["spooled_bytes"])
    assert list((tmp_path / "spool" / "mes").iterdir())


def test_what_waits_at_the_end_is_delivered_before_it(telling, mes, normal):
    client = telling()
    ids = send(client, *[normal] * 20)
    client.__exit__()
    assert mes.ids == ids


def test_several_sinks_get_what_they_choose(telling, mes, sinks_file, normal, defective):
    url = f'kind = "webhook"\nurl = "{mes.url}'
    sinks_file.write_text(
        f'[every]\n{url}/every"\n[bad]\n{url}/bad"\nsend = "anomalous"\nbatch = 1\n'
        f'[oven]\n{url}/oven"\nlines = ["oven"]\n'
    )
    client = telling()
    one, two = send(client, normal, defective, line="press")
    client.__exit__()
    told = {(call.path, event["id"]) for call in mes.calls for event in call.events}
    assert told == {
        ("/events/every", one),
        ("/events/every", two),
        ("/events/bad", two),
    }


def test_a_file_that_makes_no_sense_stops_the_start(telling, sinks_file):
    sinks_file.write_text('[mes]\nkind = "fax"\n')
    with pytest.raises(InvalidSinks, match="fax"):
        telling()


def test_the_start_says_what_is_wrong(sinks_file, gauge_repository):
    sinks_file.write_text('[mes]\nkind = "webhook"\nurl = "mes"\n')
    command = [sys.executable, "-m", "onegauge", "serve", "--repository", str(gauge_repository)]
    environment = {"ONEGAUGE_SINKS": str(sinks_file), "ONEGAUGE_API_KEYS": "off"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    wrong = f"{sinks_file} [mes] url = 'mes': it is not like https://mes.example/onegauge"
    assert done.stderr.splitlines()[-1] == f"onegauge: {wrong}"


def test_a_gateway_without_records_loads_no_database(sinks_file, gauge_repository, normal):
    script = (
        "import sys\n"
        "from tests.service.served import in_process\n"
        f"with in_process('{gauge_repository}', sinks='{sinks_file}') as client:\n"
        f"    client.post('/inspect', files={{'image': {normal!r}}})\n"
        "    print(client.get('/v1/sinks').json()['sinks'][0]['name'], *sys.modules)\n"
    )
    environment = {"ONEGAUGE_API_KEYS": "off"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    name, *loaded = done.stdout.split()
    assert name == "mes"
    assert "onegauge.service.sinks.webhook.wire" in loaded
    assert not {"sqlalchemy", "alembic", "onegauge.service.recording", "torch"} & set(loaded)
