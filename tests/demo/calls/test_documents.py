"""The page and its parts are made once, and look the same to everybody."""

import re

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from simswap.demo.calls.documents import Documents
from simswap.demo.server.rate_limit import RateLimit
from simswap.demo.server.refusals import Refusals
from tests.support.demo.raw_requests import ask

PLACES = ["/", "/config", "/theme.css", "/gradio_api/info", "/gradio_api/openapi.json"]
MADE_A_MINUTE = 5


@pytest.fixture
def made() -> list[str]:
    """Where the documents were asked for that were made."""
    return []


@pytest.fixture
def encodings() -> list[str | None]:
    """What the requests for them accepted."""
    return []


@pytest.fixture
def client(made, encodings) -> TestClient:
    async def make(request: Request) -> PlainTextResponse:
        made.append(str(request.url))
        encodings.append(request.headers.get("accept-encoding"))
        return PlainTextResponse(made[-1], 500 if "broken" in made[-1] else 200)

    limits = [Middleware(Refusals), Middleware(RateLimit, MADE_A_MINUTE), Middleware(Documents)]
    return TestClient(Starlette(routes=[Route("/{rest:path}", make)], middleware=limits))


@pytest.mark.parametrize("path", PLACES)
def test_a_document_is_made_once_whatever_else_a_request_holds(client, made, path):
    first = client.get(path).text
    assert client.get(f"{path}?deep_link=x", headers={"cookie": "a", "origin": "b"}).text == first
    assert client.head(path).status_code == 200
    assert made == [f"http://testserver{path}"]


def test_each_address_has_its_own(client):
    texts = [client.get("/", headers={"host": name}).text for name in ("one", "two")]
    assert texts == ["http://one/", "http://two/"]


def test_what_failed_is_not_kept(client, made):
    for _ in range(2):
        assert client.get("/", headers={"host": "broken"}).status_code == 500
    assert len(made) == 2


def test_documents_that_must_be_made_count_as_jobs_do(client):
    answers = [client.get("/", headers={"host": str(number)}) for number in range(9)]
    assert [one.status_code for one in answers] == [200] * MADE_A_MINUTE + [429] * 4
    assert client.get("/", headers={"host": "0"}).status_code == 200


PART = "/assets/script.js"


@pytest.mark.parametrize("accepted", ["br, gzip", "gzip;q=0.5"])
def test_a_part_of_the_page_is_compressed_once_for_all(client, made, accepted):
    for name in ("one", "two"):
        client.get(f"{PART}?v={name}", headers={"host": name, "accept-encoding": accepted})
    assert len(made) == 1


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        *((PART, {"range": "bytes=0-9"}), ("/assets/a%2F..%2Fscript.js", {})),
        *(("/assets/.x.js", {}), ("/gradio_api/file=/an/upload.txt", {})),
    ],
)
def test_what_is_not_kept_is_not_compressed(client, encodings, path, headers):
    for _ in range(2):
        client.get(path, headers={**headers, "accept-encoding": "br"})
    assert encodings == [None, None]


def test_other_answers_are_not_kept(client, made):
    for _ in range(2):
        client.get("/gradio_api/queue/status")
    assert len(made) == 2


@pytest.mark.parametrize("path", PLACES)
def test_the_demos_own_are_whole(demo_url, path):
    first, again = (ask(demo_url, "GET", path) for _ in range(2))
    assert first == again
    assert first[0] == 200
    assert len(first[1]) > 1000


def test_the_demos_page_knows_by_what_name_it_was_asked(demo_url):
    for name in ("one.example", "two.example"):
        page = ask(demo_url, "GET", "/", headers={"X-Forwarded-Host": name})[1].decode()
        assert f"http://{name}" in page


@pytest.mark.parametrize("accepted", ["br", "gzip"])
def test_the_demos_scripts_are_compressed_and_whole(demo_url, accepted):
    name = re.search(r'src="\./(assets/[\w-]+\.js)"', ask(demo_url, "GET", "/")[1].decode())[1]
    plain = ask(demo_url, "GET", f"/{name}")[1]
    for _ in range(2):
        answer = httpx.get(f"{demo_url}/{name}", headers={"accept-encoding": accepted})
        assert answer.headers["content-encoding"] == accepted
        assert answer.num_bytes_downloaded < len(plain) / 2
        assert answer.content == plain
