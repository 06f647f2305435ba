"""`python -m simswap download --model`: stand-ins of the published files, by a loopback server."""

import io
import json
import re
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from simswap.__main__ import main
from simswap.cli.download import published
from simswap.cli.download.fetching import fetch
from simswap.errors import ModelError
from simswap.models.generator import Generator
from simswap.weights.bundle import load_bundle
from tests.support.weights.official_weights import (
    NARROW_VARIANTS,
    know_narrow_networks,
    official_state,
    save_whole_module,
)

LICENCE = "non-commercial research only"


class Release:
    """Files by their path; how many bytes of each answer are sent, and the ranges asked for."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.stop_after, self.asked = files, None, []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        content = self.files[handler.path]
        asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        self.asked.append((handler.path, start))
        if asked and start >= len(content):
            handler.send_error(416)
            return
        handler.send_response(206 if asked else 200)
        handler.send_header("Content-Length", str(len(content) - start))
        handler.send_header("Content-Range", f"bytes {start}-")
        handler.end_headers()
        handler.wfile.write(content[start:][: self.stop_after])


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("stand_ins")
    torch.manual_seed(0)
    torch.save(Generator(NARROW_VARIANTS[0].generator).state_dict(), folder / "latest_net_G.pth")
    save_whole_module(official_state("arcface_ir_se_18"), folder / "arcface_checkpoint.tar")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as files:
        files.write(folder / "latest_net_G.pth", "people/latest_net_G.pth")
        files.writestr("people/latest_net_D1.pth", b"not wanted")
    identity = (folder / "arcface_checkpoint.tar").read_bytes()
    return {"/checkpoints.zip": stream.getvalue(), "/arcface_checkpoint.tar": identity}


@pytest.fixture
def release(stand_ins, monkeypatch, tmp_path) -> Iterator[Release]:
    """A server that has the files, and a catalogue that names it."""
    state = Release(dict(stand_ins))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    model = published.Published(f"{url}/checkpoints.zip", 224, f"{url}/arcface_checkpoint.tar")
    monkeypatch.setitem(published.PUBLISHED, "simswap-224", model)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("SIMSWAP_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    know_narrow_networks(monkeypatch)
    yield state
    server.shutdown()
    server.server_close()


def download(*more: str) -> int:
    return main(["download", "--model", "simswap-224", "--output", "mine", *more])


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != "home")


def test_nothing_is_asked_for_before_the_licence_is_accepted(release, tmp_path, capfd):
    assert download() == 1
    assert LICENCE in capfd.readouterr().err
    assert (release.asked, left(tmp_path)) == ([], [])


def test_one_command_leaves_a_model_folder_and_nothing_else(release, tmp_path, capfd):
    assert download("--accept-licence") == 0
    assert capfd.readouterr().out.strip() == "mine"
    assert left(tmp_path) == ["mine"]
    bundle = load_bundle("mine")
    assert bundle.config.generator == NARROW_VARIANTS[0].generator
    assert LICENCE in (tmp_path / "mine" / "README.md").read_text()


def test_a_download_that_was_broken_off_goes_on_where_it_ended(release, capfd):
    release.stop_after = 50_000
    assert download("--accept-licence") == 1
    assert "broken off after 50000 bytes" in capfd.readouterr().err
    release.stop_after = None
    assert download("--accept-licence") == 0
    assert release.asked[1] == ("/checkpoints.zip", 50_000)
    load_bundle("mine")


def test_another_file_under_the_same_address_is_refused_later(release, tmp_path, capfd):
    assert download("--accept-licence") == 0
    before = (tmp_path / "mine" / "config.json").read_bytes()
    release.files["/checkpoints.zip"] += b"\0"
    assert download("--accept-licence") == 1
    assert "another file than the one that was fetched before" in capfd.readouterr().err
    assert (tmp_path / "mine" / "config.json").read_bytes() == before
    assert left(tmp_path) == ["mine"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>Log in first</html>", "checkpoints.zip is damaged"),
        (b"", "checkpoints.zip is damaged"),
    ],
)
def test_what_is_no_such_network_is_refused_and_not_remembered(
    release, tmp_path, capfd, content, said
):
    release.files["/checkpoints.zip"] = content
    assert download("--accept-licence") == 1
    assert said in capfd.readouterr().err
    assert left(tmp_path) == []
    record = tmp_path / "home" / published.RECORD
    assert not record.exists() or json.loads(record.read_text()) == {}


def test_a_file_without_end_is_not_fetched_for_ever(release, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(published, "MAX_BYTES", 1000)
    assert download("--accept-licence") == 1
    assert "it has more than 1000 bytes" in capfd.readouterr().err


def test_a_folder_that_holds_something_else_is_left_alone(release, tmp_path, capfd):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    assert download("--accept-licence") == 1
    assert "is no model folder" in capfd.readouterr().err
    assert (release.asked, left(tmp_path)) == ([], ["mine"])


def test_every_published_model_is_offered_by_the_command():
    from simswap.cli import download as command

    assert set(command.MODELS) == set(published.PUBLISHED)


ANSWERS = {
    "sent on to no address": b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
    "a chunk of less than nothing": (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nabc"
    ),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_that_cannot_be_is_one_sentence(tmp_path, monkeypatch, answer):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving(answer) as url, pytest.raises(ModelError, match="could not be fetched"):
        fetch(url, tmp_path / "file", 1000)


def test_what_does_not_begin_where_the_file_ends_is_not_put_behind_it(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    (tmp_path / "file").write_bytes(b"012")
    answer = b"HTTP/1.1 206 Partial\r\nContent-Range: bytes 1-3/4\r\nContent-Length: 3\r\n\r\n123"
    with serving(answer) as url, pytest.raises(ModelError, match="another part of it came"):
        fetch(url, tmp_path / "file", 1000)
    assert (tmp_path / "file").read_bytes() == b"012"


@contextmanager
def serving(answer: bytes) -> Iterator[str]:
    """A server that answers one request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_once() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        thread = threading.Thread(target=answer_once, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/file"
        thread.join(10)


@pytest.mark.parametrize("is_link", [True, False])
def test_nothing_is_fetched_into_a_folder_of_others(release, tmp_path, capfd, is_link):
    others, waiting = tmp_path / "others", tmp_path / ".mine.download"
    others.mkdir()
    (others / "checkpoints.zip").write_bytes(b"dear")
    if is_link:
        waiting.symlink_to(others)
    else:
        others.rename(waiting)
        waiting.chmod(0o777)
    assert download("--accept-licence") == 1
    assert "others may write there" in capfd.readouterr().err
    assert (waiting / "checkpoints.zip").read_bytes() == b"dear"
    assert release.asked == []


def test_a_damaged_archive_is_told_in_a_sentence(tmp_path):
    path = tmp_path / "checkpoints.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("people" + published.GENERATOR_ENDING, bytes(range(256)) * 99)
    content = bytearray(path.read_bytes())
    start = content.index(published.GENERATOR_ENDING.encode()) + len(published.GENERATOR_ENDING)
    content[start : start + 40] = b"\xff" * 40
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is damaged"):
        published._take_generator(path, tmp_path / "generator.pth")
