"""Two hundred requests a minute: most are refused, in plain words, and others are not hurt."""

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from demo import rate_limit
from demo.rate_limit import DEFAULT_LIMIT, RateLimit

JOIN, FRAME = "/gradio_api/queue/join", "/gradio_api/stream/abc"


def client_at(address: str, app: Starlette) -> TestClient:
    return TestClient(app, client=(address, 1234))


@pytest.fixture
def app() -> Starlette:
    async def answer(request):
        return PlainTextResponse("done")

    return Starlette(
        routes=[Route("/{rest:path}", answer, methods=["GET", "POST"])],
        middleware=[Middleware(RateLimit)],
    )


def test_of_200_requests_a_minute_the_last_are_refused_in_plain_words(app):
    answers = [client_at("10.0.0.1", app).post(JOIN) for _ in range(200)]
    assert [answer.status_code for answer in answers] == [200] * DEFAULT_LIMIT + [429] * (
        200 - DEFAULT_LIMIT
    )
    assert answers[-1].json()["detail"] == (
        "More than 120 requests a minute came from your address. Wait a minute, then go on."
    )


def test_other_visitors_pages_and_frames_go_on(app):
    busy = client_at("10.0.0.1", app)
    for _ in range(DEFAULT_LIMIT + 1):
        busy.post(JOIN)
    assert busy.get("/").status_code == 200
    assert busy.post(FRAME).status_code == 200
    assert busy.post(JOIN).status_code == 429
    assert client_at("10.0.0.2", app).post(JOIN).status_code == 200


def test_after_a_minute_requests_are_taken_again(app, monkeypatch):
    now = 100.0
    monkeypatch.setattr("demo.rate_limit.time.monotonic", lambda: now)
    busy = client_at("10.0.0.1", app)
    for _ in range(DEFAULT_LIMIT):
        busy.post(JOIN)
    assert busy.post(JOIN).status_code == 429
    now += rate_limit.WINDOW
    assert busy.post(JOIN).status_code == 200


@pytest.mark.parametrize(("space", "status"), [("user/name", 200), ("", 429)])
def test_the_proxys_word_for_an_address_counts_on_a_space_only(app, monkeypatch, space, status):
    monkeypatch.setenv("SPACE_ID", space)
    busy = client_at("10.0.0.1", app)
    for number in range(DEFAULT_LIMIT):
        busy.post(JOIN, headers={"x-forwarded-for": f"1.2.3.{number}"})
    assert busy.post(JOIN, headers={"x-forwarded-for": "9.9.9.9"}).status_code == status
