"""Fetching a pack: licence first, checked; from a server on the loopback address."""

import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from simswap import ModelError
from simswap.__main__ import main
from simswap.cli.download import packs


def archive() -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).bytes(3 * 2**20)
    with zipfile.ZipFile(stream, "w") as files:
        files.writestr("buffalo_l/det_10g.onnx", noise)
        files.writestr("../outside.onnx", b"a name that points elsewhere")
        files.writestr("readme.html", b"no network")
    return stream.getvalue()


CONTENT = archive()


@dataclass
class Server:
    """What the server gives and was asked; `stop_after` breaks each answer off."""

    url: str = ""
    content: bytes = CONTENT
    stop_after: int | None = None
    num_asked: int = 0


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    """A loopback server that has the pack, and a catalogue that names it."""
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.num_asked += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(state.content)))
            self.end_headers()
            self.wfile.write(state.content[: state.stop_after])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}/buffalo_l.zip"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    pack = replace(
        packs.PACKS["buffalo_l"],
        url=state.url,
        num_bytes=len(CONTENT),
        sha256=hashlib.sha256(CONTENT).hexdigest(),
    )
    monkeypatch.setitem(packs.PACKS, "buffalo_l", pack)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield state
    server.shutdown()
    server.server_close()


def fetch(folder: Path) -> Path:
    return packs.fetch_pack(packs.PACKS["buffalo_l"], folder)


def command(folder: Path, *more: str) -> int:
    return main(["download", "--detector", "buffalo_l", "--folder", str(folder), *more])


def test_nothing_is_fetched_before_the_licence_is_accepted(server, tmp_path, capfd):
    assert command(tmp_path / "models") == 1
    said = capfd.readouterr().err
    assert "non-commercial research purposes only" in said
    assert "--accept-licence" in said
    assert server.num_asked == 0
    assert not (tmp_path / "models").exists()


def test_a_pack_is_laid_out_as_insightface_does_with_progress_on_the_way(server, tmp_path, capfd):
    assert command(tmp_path / "models", "--accept-licence") == 0
    said = capfd.readouterr()
    assert said.out.strip() == str(tmp_path / "models" / "buffalo_l")
    assert "100%" in said.err
    names = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*"))
    assert names == ["models/buffalo_l/det_10g.onnx", "models/buffalo_l/outside.onnx"]


def test_a_pack_that_is_there_is_not_fetched_again(server, tmp_path):
    fetch(tmp_path)
    fetch(tmp_path)
    assert server.num_asked == 1


def test_a_broken_download_leaves_nothing_behind_and_says_so(server, tmp_path):
    server.stop_after = 2 * 2**20
    with pytest.raises(ModelError, match="broken off after"):
        fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []
    server.stop_after = None
    assert (fetch(tmp_path) / "det_10g.onnx").stat().st_size == 3 * 2**20
    assert [path.name for path in tmp_path.iterdir()] == ["buffalo_l"]


def test_another_file_than_expected_is_deleted(server, tmp_path):
    server.content = CONTENT[:-1] + b"?"
    with pytest.raises(ModelError, match="another file than expected"):
        fetch(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_sends_too_much_is_not_listened_to_forever(server, tmp_path):
    server.content = CONTENT + bytes(20 * 2**20)
    with pytest.raises(ModelError, match="another file than expected"):
        fetch(tmp_path)


def test_no_network_is_one_sentence(server, tmp_path, monkeypatch, capfd):
    pack = replace(packs.PACKS["buffalo_l"], url="http://127.0.0.1:9/buffalo_l.zip")
    monkeypatch.setitem(packs.PACKS, "buffalo_l", pack)
    assert command(tmp_path, "--accept-licence") == 1
    assert "could not be fetched" in capfd.readouterr().err
