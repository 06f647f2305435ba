"""Live camera sessions: what goes in, who gets what, and what their socket refuses."""

import io

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from simswap import MediaError, OptionError, SwapResult
from simswap.demo.server.webcam_socket import MAX_FPS, PATH, route
from simswap.demo.services import live_sessions
from simswap.demo.services.live_sessions import (
    MAX_SESSIONS,
    MAX_SESSIONS_PER_ADDRESS,
    LiveSession,
    LiveSessions,
    decode_frame,
)
from simswap.provenance.metadata import read_label


def painted(red: int, swapped: tuple[int, ...] = (0,)):
    """A stand-in for the swap: frames come back in a colour that tells whose session it was."""

    def swap(frames):
        for frame in frames:
            image = np.full_like(frame, 0)
            image[..., 0] = red
            yield SwapResult(image, (), swapped)

    return swap


def session(red: int = 200) -> LiveSession:
    return LiveSession(painted(red), "tiny")


def jpeg(width: int = 96, height: int = 64) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), "green").save(encoded, "JPEG")
    return encoded.getvalue()


def red_of(data: bytes) -> int:
    return int(np.array(Image.open(io.BytesIO(data)))[..., 0].mean().round())


@pytest.fixture
def sessions() -> LiveSessions:
    return LiveSessions()


@pytest.fixture
def client(sessions):
    return TestClient(Starlette(routes=[route(sessions)]), headers={"origin": "http://testserver"})


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not a whole JPEG"),
        (b"hello", "not a whole JPEG"),
        (jpeg()[:300], "not a whole JPEG"),
        (jpeg(1290, 720), "1290x720 pixels"),
        (jpeg(640, 16), "640x16 pixels"),
        (bytes(live_sessions.MAX_FRAME_BYTES + 1), "500001 bytes"),
    ],
)
def test_only_modest_jpegs_are_taken_as_frames(data, sentence):
    with pytest.raises(MediaError, match=sentence):
        decode_frame(data)


def test_an_answer_carries_the_synthetic_mark(tmp_path):
    (tmp_path / "answer.jpg").write_bytes(session().swap(jpeg()).jpeg)
    assert read_label(tmp_path / "answer.jpg").model == "tiny"


def test_an_answer_in_which_no_face_was_swapped_is_not_marked(tmp_path):
    live = LiveSession(painted(200, swapped=()), "tiny")
    (tmp_path / "answer.jpg").write_bytes(live.swap(jpeg()).jpeg)
    assert read_label(tmp_path / "answer.jpg") is None
    assert live.snapshot()[1] is None
    assert session().swap(jpeg()).num_swapped == 1


def test_a_token_opens_its_own_session_and_no_other(sessions):
    mine, theirs = session(), session()
    sessions.open(mine, "here")
    sessions.open(theirs, "there")
    assert sessions.shown(mine.token) is mine
    assert sessions.of_token(theirs.token) is theirs
    for stranger in ("else", "", "ünknown", None, 5):
        with pytest.raises(OptionError, match="has ended"):
            sessions.shown(stranger)


def taken(sessions: LiveSessions) -> list[LiveSession]:
    """A session of another address in each place."""
    places = [session() for _ in range(MAX_SESSIONS)]
    for number, one in enumerate(places):
        sessions.open(one, str(number))
    return places


def test_no_more_than_so_many_cameras_are_live_and_the_next_is_told(sessions):
    first, *_ = taken(sessions)
    with pytest.raises(OptionError, match=f"All {MAX_SESSIONS} places"):
        sessions.open(session(), "one more")
    sessions.end(first)
    sessions.open(session(), "one more")


def test_one_address_leaves_places_to_others(sessions):
    mine = [session() for _ in range(MAX_SESSIONS_PER_ADDRESS)]
    for one in mine:
        sessions.open(one, "here")
    with pytest.raises(OptionError, match=f"{MAX_SESSIONS_PER_ADDRESS} live cameras of your"):
        sessions.open(session(), "here")
    sessions.open(session(), "there")
    sessions.end(mine[0])
    sessions.open(session(), "here")


@pytest.mark.parametrize("address", ["0", "one more"])
def test_a_place_that_nobody_uses_goes_to_who_wants_it(sessions, address):
    places = taken(sessions)
    places[2].last_used -= live_sessions.IDLE_WHERE_OTHERS_WAIT + 1
    sessions.open(session(), address)
    assert [sessions.is_open(one) for one in places] == [True, True, False, True]


def test_an_idle_session_is_forgotten(sessions, monkeypatch):
    mine = session()
    sessions.open(mine, "here")
    monkeypatch.setattr(live_sessions, "IDLE_SECONDS", -1.0)
    assert sessions.of_token(mine.token) is None


def test_two_sockets_get_the_swaps_of_their_own_sessions(client, sessions):
    mine, theirs = session(50), session(150)
    sessions.open(mine, "here")
    sessions.open(theirs, "there")
    with client.websocket_connect(PATH) as one, client.websocket_connect(PATH) as two:
        one.send_text(mine.token)
        two.send_text(theirs.token)
        for socket, red in ((one, 50), (two, 150), (one, 50)):
            socket.send_bytes(jpeg())
            answer = socket.receive_bytes()
            assert answer[:2] == b"\0\1"
            assert abs(red_of(answer[3:]) - red) <= 2


def test_a_page_of_another_site_gets_no_socket(client):
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(PATH, headers={"origin": "https://evil.example"}),
    ):
        pass


@pytest.mark.parametrize("token", ["", "guess", "x" * 10_000])
def test_a_socket_without_a_valid_token_is_told_and_closed(client, token):
    with client.websocket_connect(PATH) as socket:
        socket.send_text(token)
        assert "has ended" in socket.receive_text()
        with pytest.raises(WebSocketDisconnect):
            socket.receive_text()


def refusal(client, sessions, *frames: bytes) -> str:
    mine = session()
    sessions.open(mine, "here")
    with client.websocket_connect(PATH) as socket:
        socket.send_text(mine.token)
        for frame in frames:
            socket.send_bytes(frame)
        while "text" not in (answer := socket.receive()) or answer["text"] is None:
            assert answer["type"] == "websocket.send"
        return answer["text"]


def test_a_frame_that_is_no_jpeg_ends_the_socket_with_a_sentence(client, sessions):
    assert "not a whole JPEG" in refusal(client, sessions, b"nonsense")


def test_a_flood_of_frames_ends_the_socket_with_a_sentence(client, sessions, monkeypatch):
    monkeypatch.setattr("simswap.demo.pace.time.monotonic", lambda: 1.0)
    assert f"More than {MAX_FPS} frames" in refusal(client, sessions, *[jpeg()] * (MAX_FPS + 1))


def test_a_session_that_the_page_ended_takes_no_more_frames(client, sessions):
    mine = session()
    sessions.open(mine, "here")
    with client.websocket_connect(PATH) as socket:
        socket.send_text(mine.token)
        socket.send_bytes(jpeg())
        socket.receive_bytes()
        sessions.end(mine)
        socket.send_bytes(jpeg())
        assert "has ended" in socket.receive_text()


def test_one_session_has_one_socket(client, sessions):
    mine = session()
    sessions.open(mine, "here")
    with client.websocket_connect(PATH) as one, client.websocket_connect(PATH) as two:
        one.send_text(mine.token)
        one.send_bytes(jpeg())
        one.receive_bytes()
        two.send_text(mine.token)
        assert "already has a camera" in two.receive_text()
