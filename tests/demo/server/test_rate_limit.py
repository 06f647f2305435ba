"""Two hundred requests a minute: most are refused, in plain words, and others are not hurt."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from simswap.demo.server import rate_limit
from simswap.demo.server.rate_limit import DEFAULT_LIMIT, RateLimit
from simswap.demo.server.refusals import Refusals
from simswap.demo.server.visitors import ON_A_SPACE, SETTING, KnowVisitor, Proxies
from simswap.errors import OptionError

JOIN, FRAME = "/gradio_api/queue/join", "/gradio_api/stream/abc"
STRAY = "/gradio_api/stream/none"  # a frame of no camera


def client_at(address: str, app: Starlette) -> TestClient:
    return TestClient(app, client=(address, 1234))


@pytest.fixture
def app() -> Starlette:
    async def answer(request):
        return PlainTextResponse("done", 404 if request.url.path == STRAY else 200)

    async def talk(socket: WebSocket):
        await socket.accept()
        await socket.close()

    return Starlette(
        routes=[
            Route("/{rest:path}", answer, methods=["GET", "POST"]),
            WebSocketRoute("/{rest:path}", talk),
        ],
        middleware=[Middleware(Refusals), Middleware(KnowVisitor), Middleware(RateLimit)],
    )


def test_of_200_requests_a_minute_the_last_are_refused_in_plain_words(app):
    answers = [client_at("10.0.0.1", app).post(JOIN) for _ in range(200)]
    assert [answer.status_code for answer in answers] == [200] * DEFAULT_LIMIT + [429] * (
        200 - DEFAULT_LIMIT
    )
    assert answers[-1].json()["detail"] == (
        "More than 120 requests a minute came from your address. Wait a minute, then go on."
    )


def test_a_socket_that_is_asked_for_counts_as_a_request(app):
    busy = client_at("10.0.0.1", app)
    for _ in range(DEFAULT_LIMIT):
        with busy.websocket_connect("/"):
            pass
    assert busy.post(JOIN).status_code == 429
    with pytest.raises(WebSocketDisconnect), busy.websocket_connect("/"):
        pass
    with client_at("10.0.0.2", app).websocket_connect("/"):
        pass


def test_other_visitors_pages_and_frames_go_on(app):
    busy = client_at("10.0.0.1", app)
    for _ in range(DEFAULT_LIMIT + 1):
        busy.post(JOIN)
    assert busy.get("/").status_code == 200
    assert busy.post(FRAME).status_code == 200
    assert busy.post(JOIN).status_code == 429
    assert client_at("10.0.0.2", app).post(JOIN).status_code == 200


def test_who_sends_very_many_frames_to_no_camera_sends_no_more(app):
    busy = client_at("10.0.0.1", app)
    assert {busy.post(STRAY).status_code for _ in range(DEFAULT_LIMIT)} == {404}
    assert [busy.post(path).status_code for path in (STRAY, FRAME, JOIN)] == [429, 429, 200]
    assert client_at("10.0.0.2", app).post(FRAME).status_code == 200


def test_after_a_minute_requests_are_taken_again(app, monkeypatch):
    now = 100.0
    monkeypatch.setattr("simswap.demo.pace.time.monotonic", lambda: now)
    busy = client_at("10.0.0.1", app)
    for _ in range(DEFAULT_LIMIT):
        busy.post(JOIN)
    assert busy.post(JOIN).status_code == 429
    now += rate_limit.WINDOW
    assert busy.post(JOIN).status_code == 200


def test_who_reads_again_and_again_is_refused_and_may_still_send(app, monkeypatch):
    monkeypatch.setattr(rate_limit, "READS", 1)
    busy = client_at("10.0.0.1", app)
    answers = [busy.get("/gradio_api/queue/status").status_code for _ in range(DEFAULT_LIMIT + 1)]
    assert answers == [200] * DEFAULT_LIMIT + [429]
    assert busy.head("/").status_code == 429
    assert busy.post(JOIN).status_code == 200
    assert client_at("10.0.0.2", app).get("/").status_code == 200


@pytest.mark.parametrize(
    "path", ["cancel", "reset", "stream/abc/close", "component_server", "/queue//join", "new/route"]
)
def test_whatever_is_sent_counts_wherever_it_goes(app, path):
    busy = client_at("10.0.0.1", app)
    for _ in range(DEFAULT_LIMIT):
        busy.post(f"/gradio_api/{path}")
    assert busy.post(JOIN).status_code == 429


@pytest.mark.parametrize(
    ("setting", "space", "status"),
    [("", "", 429), ("", "user/name", 200), ("10.0.0.0/24", "", 200), ("192.168.0.1", "", 429)],
)
def test_only_a_named_proxys_word_for_an_address_counts(app, monkeypatch, setting, space, status):
    monkeypatch.setenv("SPACE_ID", space)
    monkeypatch.setenv(SETTING, setting)
    busy = client_at("10.0.0.1", app)
    for number in range(DEFAULT_LIMIT):
        busy.post(JOIN, headers={"x-forwarded-for": f"1.2.3.{number}"})
    assert busy.post(JOIN, headers={"x-forwarded-for": "9.9.9.9"}).status_code == status


def test_what_a_visitor_writes_before_the_proxys_word_counts_for_nothing(app, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "user/name")
    busy = client_at("10.0.0.1", app)
    for number in range(DEFAULT_LIMIT):
        busy.post(JOIN, headers={"x-forwarded-for": f"1.2.3.{number}, 8.8.8.8"})
    assert busy.post(JOIN, headers={"x-forwarded-for": "1.1.1.1, 8.8.8.8"}).status_code == 429


@pytest.mark.parametrize(
    ("peer", "forwarded", "visitor"),
    [
        ("10.1.1.1", ["6.6.6.6, 8.8.8.8"], "8.8.8.8"),
        ("10.1.1.1", ["6.6.6.6, 8.8.8.8, 10.2.2.2"], "8.8.8.8"),  # two proxies
        ("10.1.1.1", ["6.6.6.6", "8.8.8.8"], "8.8.8.8"),  # two headers
        ("8.8.8.8", ["6.6.6.6"], "8.8.8.8"),  # no proxy of ours
        ("10.1.1.1", [], "10.1.1.1"),
        ("10.1.1.1", ["6.6.6.6, nonsense"], "10.1.1.1"),
        ("10.1.1.1", ["8.8.8.8:1234"], "8.8.8.8"),
        ("::ffff:10.1.1.1", ["8.8.8.8"], "8.8.8.8"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("10.1.1.1", ["[2001:db8:1:2::7]:80"], "2001:db8:1:2::/64"),
        ("::1", [], "::1"),
        ("testclient", ["8.8.8.8"], "testclient"),
    ],
)
def test_a_visitor_is_whom_the_last_proxy_that_is_ours_saw(peer, forwarded, visitor):
    assert Proxies(ON_A_SPACE).visitor(peer, forwarded) == visitor


@pytest.mark.parametrize("text", ["proxy.example", "10.0.0.0/99", "*"])
def test_a_proxy_that_is_no_address_is_told(text):
    with pytest.raises(OptionError, match=SETTING):
        Proxies(text)


def test_who_claims_to_be_the_server_itself_is_counted(app):
    busy = client_at("10.0.0.1", app)
    for number in range(DEFAULT_LIMIT):
        busy.post(JOIN, headers={"x-simswap-visitor": f"guess;1.2.3.{number}"})
    assert busy.post(JOIN).status_code == 429
