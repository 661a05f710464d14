import asyncio

import pytest
from starlette.types import ASGIApp, Message, Receive

from onegauge.service.inspection.inquiry import SMALL_CHUNK, Upload

PROBLEM = "application/problem+json"


def refused(response, status: int, reason: str) -> dict:
    """The problem, once it is seen to be one."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == PROBLEM
    assert response.json()["type"] == f"/problems/{reason}"
    return response.json()


def status_of_raw_post(app: ASGIApp, receive: Receive, content_length: int = 10) -> int:
    """Post an image whose body is what `receive` says."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-type", b"image/png"), (b"content-length", b"%d" % content_length)]
    scope = {"type": "http", "method": "POST", "path": "/inspect", "query_string": b""}
    asyncio.run(app({**scope, "headers": headers}, receive, send))
    return sent[0]["status"]


def form(*parts: bytes) -> dict:
    """A body of parts, each its headers and data, and the header that says so."""
    body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    return {"content": body, "headers": {"Content-Type": "multipart/form-data; boundary=x"}}


def test_option_given_twice_in_the_form_is_refused(client, normal):
    parts = [("image", normal), ("map", (None, "png")), ("map", (None, "npy"))]
    refused(client.post("/inspect", files=parts), 422, "invalid-option")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_other_bodies_are_refused(client, normal, content_type):
    headers = {"Content-Type": content_type} if content_type else {}
    response = client.post("/inspect", content=normal, headers=headers)
    assert "multipart/form-data" in refused(response, 415, "unsupported-body")["detail"]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--x--"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"no form"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="image"'),
        ("multipart/form-data; boundary=" + "x" * 300, b"--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\nA: " + b"a" * 10_000 + b"\r\n\r\n--x--"),
        ("multipart/form-data; boundary=x", b"--x\r\n" + b"A: a\r\n" * 100 + b"\r\n\r\n--x--"),
    ],
)
def test_broken_forms_are_malformed(client, content_type, body):
    response = client.post("/inspect", content=body, headers={"Content-Type": content_type})
    refused(response, 400, "malformed-body")


@pytest.mark.parametrize(
    "content_type", ["application/octet-stream", "image/jpg", "Image/X-PNG", "image/png;a=b"]
)
def test_raw_image_is_known_by_its_content(client, normal, content_type):
    response = client.post("/inspect", content=normal, headers={"Content-Type": content_type})
    assert response.json()["results"][0]["decision"] == "normal"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_encoded_body_is_named_as_such(client, normal, encoding):
    headers = {"Content-Type": "image/png", "Content-Encoding": encoding}
    response = client.post("/inspect", content=normal, headers=headers)
    assert f"encoded as '{encoding}'" in refused(response, 415, "unsupported-body")["detail"]


@pytest.mark.parametrize("encoding", [b"base64", b"Quoted-Printable"])
def test_encoded_part_is_named_as_such(client, encoding):
    part = b'Content-Disposition: form-data; name="image"\r\nContent-Transfer-Encoding: %s\r\n\r\n'
    detail = refused(
        client.post("/inspect", **form(part % encoding + b"aGVsbG8=")), 415, "unsupported-body"
    )["detail"]
    assert f"part is encoded as {encoding.decode()!r}" in detail


@pytest.mark.parametrize("headers", [b"Content-Transfer-Encoding: BINARY", b"CONTENT-ID: 1"])
def test_other_headers_of_a_part_do_no_harm(client, normal, headers):
    part = b"%s\r\nCONTENT-DISPOSITION: form-data; NAME=image\r\n\r\n%s" % (headers, normal)
    assert client.post("/inspect", **form(part)).status_code == 200


def test_boundary_may_be_quoted(client, normal):
    sent = form(b'Content-Disposition: form-data; name="image"\r\n\r\n' + normal)
    sent["headers"] = {"Content-Type": 'Multipart/Form-Data; charset=utf-8; Boundary="x"'}
    assert client.post("/inspect", **sent).status_code == 200


@pytest.mark.parametrize("name", ["file", "files[]", "Image"])
def test_field_of_another_name_is_refused_with_the_right_one(client, normal, name):
    problem = refused(client.post("/inspect", files=[(name, normal)]), 422, "invalid-option")
    assert f"field '{name}'" in problem["detail"]
    assert "sent as 'image'" in problem["detail"]


def test_as_many_images_as_allowed_are_inspected(gateway, normal):
    client = gateway(max_images=3)
    assert client.post("/inspect", files=[("image", normal)] * 3).status_code == 200
    response = client.post("/inspect", files=[("image", normal)] * 4)
    assert refused(response, 413, "too-many-images")["limit_images"] == 3


def test_large_image_is_refused_in_its_place(gateway, normal):
    client = gateway(max_image_bytes=1000)
    files = [("image", ("large.png", normal + b" " * 1000)), ("image", ("a.png", normal))]
    large, fine = client.post("/inspect", files=files).json()["results"]
    assert large["problem"]["type"] == "/problems/image-too-large"
    assert large["problem"]["limit_bytes"] == 1000
    assert fine["decision"] == "normal"


def test_bytes_beyond_the_limit_are_not_kept():
    upload = Upload("a.png", limit=10)
    for _ in range(3):
        upload.write(b"12345678")
    assert (upload.size, len(upload.chunks)) == (24, 0)


def test_drops_take_no_more_memory_than_they_hold():
    upload, large = Upload(None, 10**6), SMALL_CHUNK * b"l"
    for chunk in [*(1000 * [b"d"]), large, large, *(1000 * [b"e"])]:
        upload.write(chunk)
    assert len(upload.chunks) == 4
    assert upload.read() == 1000 * b"d" + 2 * large + 1000 * b"e"


def test_raw_image_obeys_the_limit_for_images(gateway, normal):
    client = gateway(max_image_bytes=len(normal) - 1)
    response = client.post("/inspect", content=normal, headers={"Content-Type": "image/png"})
    refused(response, 413, "image-too-large")


def test_announced_length_is_refused_before_the_body_is_read(gateway):
    async def receive() -> dict:
        raise AssertionError("the body was read")

    app = gateway(max_request_bytes=1000).app
    assert status_of_raw_post(app, receive, content_length=1001) == 413


def test_body_of_unknown_length_is_cut_at_the_limit(gateway):
    client = gateway(max_request_bytes=1000)
    body = (b"x" * 100 for _ in range(11))
    response = client.post("/inspect", content=body, headers={"Content-Type": "image/png"})
    assert refused(response, 413, "body-too-large")["limit_bytes"] == 1000


def test_part_without_a_name_does_not_inherit_that_of_the_part_before(client):
    body = (
        b'--x\r\nContent-Disposition: form-data; name="line"\r\n\r\na\r\n'
        b"--x\r\nA: b\r\n\r\nc\r\n--x--\r\n"
    )
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    problem = refused(client.post("/inspect", content=body, headers=headers), 422, "invalid-option")
    assert "field ''" in problem["detail"]


def test_filename_is_echoed_as_it_is(client, normal):
    name = "Teil 7 / größe \u4e2d.png"
    response = client.post("/inspect", files=[("image", (name, normal))])
    assert response.json()["results"][0]["filename"] == name


def test_name_of_dot_net_is_echoed_as_the_file_has_it(client, normal):
    disposition = b"Content-Disposition: form-data; name=image; filename=%s; filename*=%s\r\n\r\n"
    names = b'"=?utf-8?B?UHLDvGYuanBn?="', b"utf-8''Pr%C3%BCf.jpg"
    response = client.post("/inspect", **form(disposition % names + normal))
    assert response.json()["results"][0]["filename"] == "Prüf.jpg"


def test_slow_body_is_given_up(gateway):
    async def receive() -> dict:
        return await asyncio.Future()

    assert status_of_raw_post(gateway(read_timeout_s=0.05).app, receive) == 408
    assert status_of_raw_post(gateway(stall_timeout_s=0.05).app, receive) == 408


def test_body_that_trickles_is_given_up_though_it_never_stalls(gateway):
    async def receive() -> dict:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x", "more_body": True}

    app = gateway(stall_timeout_s=5, read_timeout_s=0.1).app
    assert status_of_raw_post(app, receive) == 408


def test_client_that_goes_away_is_no_error(gateway):
    async def receive() -> dict:
        return {"type": "http.disconnect"}

    assert status_of_raw_post(gateway().app, receive) == 499
