import asyncio
import shutil

import pytest

from tests.service.http.wire import ABC, GET, POST, answer, connection, echo

H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
ABC_IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"
CLOSE = b"Connection: close\r\n"


def answers(*sent: bytes, count: int = 1) -> list[bytes]:
    """What comes back from `echo`, answer by answer, for what is sent in pieces."""

    async def scenario() -> list[bytes]:
        async with connection(app=echo) as (reader, writer), asyncio.timeout(20):
            for data in sent:
                writer.write(data)
                await asyncio.sleep(0)
            return [await answer(reader) for _ in range(count)]

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    "request_line", [POST, POST.replace(b"1.1", b"1.0"), POST + CLOSE], ids=["1.1", "1.0", "close"]
)
@pytest.mark.parametrize("wish", [H2C, H2C.replace(b"h2c", b"websocket"), H2C.upper()])
@pytest.mark.parametrize("body", [ABC, ABC_IN_CHUNKS], ids=["length", "chunked"])
def test_wish_for_another_protocol_is_answered_as_if_there_were_none(request_line, wish, body):
    assert answers(request_line + wish + body) == [b"POST abc"]


def test_wish_for_another_protocol_may_come_in_pieces_and_again():
    whole = POST + H2C + ABC
    pieces = [whole[i : i + 7] for i in range(0, len(whole), 7)]
    assert answers(*pieces, whole + whole, GET + H2C + b"\r\n", count=4) == [
        *3 * [b"POST abc"],
        b"GET ",
    ]


@pytest.mark.parametrize("sent", [(), ("-H", "Transfer-Encoding: chunked")])
def test_curl_that_wishes_for_http_2_is_answered(sent):
    curl = ("curl", "--http2", "--noproxy", "*", "-s", "--data-binary", "abc", *sent)
    assert told_by(*curl) == b"POST abc"


JAVA = """
import java.net.URI;
import java.net.http.*;
class Client {
    public static void main(String[] arguments) throws Exception {
        var client = HttpClient.newHttpClient();
        for (String body : new String[] {"abc", "de"}) {
            var request = HttpRequest.newBuilder(URI.create(arguments[0]))
                .POST(HttpRequest.BodyPublishers.ofString(body)).build();
            System.out.print(client.send(request, HttpResponse.BodyHandlers.ofString()).body());
        }
    }
}
"""


def test_http_client_of_the_jdk_is_answered(tmp_path):
    source = tmp_path / "Client.java"
    source.write_text(JAVA)
    assert told_by("java", source) == b"POST abcPOST de"


def told_by(program: str, *arguments: object) -> bytes:
    """What another client, which is given the address last, prints of the answers of `echo`."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")

    async def scenario() -> bytes:
        async with connection(app=echo) as (_, writer), asyncio.timeout(60):
            url = "http://{}:{}/".format(*writer.get_extra_info("peername"))
            process = await asyncio.create_subprocess_exec(
                program, *arguments, url, stdout=asyncio.subprocess.PIPE
            )
            return (await process.communicate())[0]

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (POST.replace(b"/ ", "/?line=工 ".encode()), "in url"),
        (POST.lower(), "Invalid method"),
        (POST + 2 * b"Content-Length: 3\r\n", "Content-Length"),
        (GET.replace(b"GET /", b"CONNECT a:80"), "error"),
    ],
)
def test_request_that_cannot_be_parsed_is_refused_with_the_reason(sent, reason):
    async def scenario() -> bytes:
        async with connection(app=echo) as (reader, writer), asyncio.timeout(20):
            writer.write(sent + b"\r\n")
            return await reader.read()

    answer = asyncio.run(scenario()).decode()
    assert answer.startswith("HTTP/1.1 400")
    header, _, text = answer.partition("\r\n\r\n")
    assert f"content-length: {len(text)}" in header
    assert reason in text


@pytest.mark.parametrize(
    "request_line", [POST.replace(b"/", b"http://a:8000/", 1), POST + b"Expect: 100-Continue\r\n"]
)
def test_proxies_and_clients_that_ask_before_they_send_are_answered(request_line):
    async def scenario() -> bytes:
        async with connection(app=echo) as (reader, writer), asyncio.timeout(20):
            writer.write(request_line + ABC[:-3])
            if b"Expect" in request_line:
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"abc")
            return await answer(reader)

    assert asyncio.run(scenario()) == b"POST abc"
