import gc
import signal
import socket
from contextlib import suppress
from time import monotonic

import httpx

from onegauge.service.server import leave_alone_what_stays
from rig.gateway_process import gateway_process


def begin_upload(port: int, image: bytes) -> socket.socket:
    """Send a request but for its last byte."""
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    header = "POST /inspect HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
    client.sendall(f"{header}Content-Length: {len(image)}\r\n\r\n".encode() + image[:-1])
    return client


def until_in_flight(url: str) -> None:
    """Wait until the gateway has admitted the upload."""
    while "onegauge_buffered_bytes 0.0" in httpx.get(f"{url}/metrics").text:
        pass


def until_closed(url: str) -> None:
    """Wait until no new connection is taken."""
    with suppress(httpx.HTTPError):
        while True:
            httpx.get(f"{url}/healthz")


def test_serves_says_how_to_use_it_and_ends_with_status_0_when_told(gauge_repository, normal):
    with gateway_process(gauge_repository) as process:
        answer = httpx.post(f"{process.url}/inspect", files=[("image", normal)])
        process.popen.terminate()
        status, log = process.end()
    assert status == 0
    assert answer.json()["results"][0]["decision"] == "normal"
    assert f"{process.url}/inspect" in process.welcome[3]
    assert f"{process.url}/docs" in process.welcome[4]
    assert answer.headers["X-Request-Id"] in log
    assert "Traceback" not in log
    assert "API keys are off" in log


def test_request_under_way_is_answered_after_sigterm(gauge_repository, normal):
    with gateway_process(gauge_repository) as process:
        with begin_upload(process.port, normal) as client:
            until_in_flight(process.url)
            process.popen.terminate()
            until_closed(process.url)
            client.sendall(normal[-1:])
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        status, _ = process.end()
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'"decision":"normal"' in answer
    assert status == 0


def test_readiness_goes_first_while_requests_are_still_taken(gauge_repository, normal):
    with gateway_process(gauge_repository, ONEGAUGE_DRAIN_S="3") as process:
        process.popen.terminate()
        while (ready := httpx.get(f"{process.url}/readyz")).status_code == 200:
            pass
        answer = httpx.post(f"{process.url}/inspect", files=[("image", normal)])
        status, _ = process.end()
    assert ready.status_code == 503
    assert ready.json()["type"] == "/problems/shutting-down"
    assert answer.status_code == 200
    assert status == 0


def test_grace_period_bounds_the_wait(gauge_repository, normal):
    grace = {"ONEGAUGE_GRACE_S": "1"}
    with gateway_process(gauge_repository, **grace) as it, begin_upload(it.port, normal):
        until_in_flight(it.url)
        it.popen.terminate()
        start = monotonic()
        status, _ = it.end()
    assert status == 0
    assert monotonic() - start < 20, "and not the 30 seconds of the default"


def test_second_sigterm_ends_it_at_once(gauge_repository, normal):
    with gateway_process(gauge_repository) as process, begin_upload(process.port, normal):
        until_in_flight(process.url)
        process.popen.terminate()
        until_closed(process.url)
        process.popen.terminate()
        status, _ = process.end()
    assert status == -signal.SIGTERM


def test_port_that_is_taken_is_named(gauge_repository):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with gateway_process(gauge_repository, ONEGAUGE_PORT=str(port)) as process:
            status, log = process.end()
    assert status != 0
    assert f"('127.0.0.1', {port}): address already in use" in log


def test_what_stays_is_not_looked_through_for_garbage():
    threshold = gc.get_threshold()
    try:
        leave_alone_what_stays()
        assert gc.get_freeze_count() > 10 * len(gc.get_objects())
    finally:
        gc.unfreeze()
        gc.set_threshold(*threshold)
