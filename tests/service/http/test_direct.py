import asyncio

from fastapi import APIRouter, Request, Response
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from onegauge.service.http.direct import Direct
from onegauge.service.http.problems import CLIENT_CLOSED_REQUEST

router = APIRouter()


@router.post("/inspect")
async def inspect(request: Request) -> Response:
    """Answer with the path of the route, or fail as asked."""
    if request.scope["query_string"] == b"gone":
        raise ClientDisconnect
    return Response(request.scope["route"].path)


def asked(method: str, path: str, query: bytes = b"") -> list[object]:
    """What was answered, by the routes themselves or by the application behind them."""
    found: list[object] = []

    async def behind(scope: Scope, _receive: Receive, _send: Send) -> None:
        found.append(scope["path"] + " passed on")

    async def send(message: Message) -> None:
        found.append(message.get("status") or message["body"])

    async def receive() -> Message:
        raise AssertionError("the body was asked for")

    scope = {"type": "http", "method": method, "path": path, "query_string": query}
    asyncio.run(Direct(behind, router.routes)(scope, receive, send))
    return found


def test_post_is_answered_by_the_route_itself_which_is_told_as_fastapi_does():
    assert asked("POST", "/inspect") == [200, b"/inspect"]


def test_all_else_is_passed_on():
    assert asked("GET", "/inspect") == ["/inspect passed on"]
    assert asked("POST", "/inspect/more") == ["/inspect/more passed on"]


def test_client_that_has_gone_is_no_error():
    assert asked("POST", "/inspect", b"gone")[0] == CLIENT_CLOSED_REQUEST


def test_problem_is_answered_as_elsewhere(client):
    refused = client.post("/inspect", content=b"", headers={"Content-Type": "text/plain"})
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 'path="/inspect",status="415"' in client.get("/metrics").text
