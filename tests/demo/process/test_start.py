"""How app.py starts: behind proxies, at a port that is taken, with a folder that is not its own."""

import http.server
import socket
import threading
import urllib.request
from collections.abc import Iterator
from typing import ClassVar

import pytest
from gradio_client import Client, handle_file

from simswap import OptionError
from simswap.demo.process import own_address
from tests.support.demo.demo_server import run_as_demo, running_demo
from tests.support.examples import EXAMPLES

PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


class Refusing(http.server.BaseHTTPRequestHandler):
    """A proxy that answers 503 and remembers that it was asked."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_error(503)

    do_POST = do_HEAD = do_CONNECT = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[str]:
    """Address of a proxy that gives nothing."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def dead_proxy() -> str:
    """Address at which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def behind(address: str) -> dict[str, str]:
    return {**dict.fromkeys(PROXY_NAMES, address), "NO_PROXY": "", "no_proxy": ""}


@pytest.mark.slow
def test_behind_a_proxy_that_refuses_the_demo_starts_and_never_asks_it(
    tmp_path, proxy, quick_folder
):
    with running_demo(tmp_path, **behind(proxy), SIMSWAP_MODEL=str(quick_folder)) as url:
        urllib.request.urlopen(url).close()
    assert Refusing.asked == []


@pytest.mark.slow
def test_behind_a_dead_proxy_the_demo_starts_and_tells_no_path(tmp_path, dead_proxy, quick_folder):
    """In the same run: nothing can be signed, and only the log says where that was tried."""
    secret = "/proc/users-secret-name"
    settings = behind(dead_proxy.replace("http", "socks5"))  # which httpx refuses
    settings |= {"SIMSWAP_HOME": f"{secret}/home", "SIMSWAP_MODEL": str(quick_folder)}
    settings |= {"SIMSWAP_RUNTIME": "torch"}  # without a home a network is compiled at every start
    with running_demo(tmp_path, **settings) as url:
        with urllib.request.urlopen(url) as page:
            shown = page.read().decode()
        client = Client(url, verbose=False, download_files=tmp_path)
        photo = handle_file(EXAMPLES / "astronaut.jpg")
        _, summary = client.predict(photo, photo, api_name="/swap_image")
    assert "Results are not signed" in shown
    assert secret not in shown
    assert any("signer.pem cannot be read or made" in notice for notice in summary["notices"])
    assert secret not in str(summary)
    assert f"{secret}/home/signer.pem" in (tmp_path / "demo.log").read_text()


@pytest.mark.slow
def test_a_port_that_was_named_and_is_taken_ends_the_start_in_one_sentence(tmp_path, quick_folder):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        model = str(quick_folder)
        start = run_as_demo("app.py", stored=tmp_path, port=port, SIMSWAP_MODEL=model)
    assert start.returncode == 1
    assert start.stderr.splitlines()[-1].startswith(f"app.py: Port {port} (GRADIO_SERVER_PORT)")
    assert "Traceback" not in start.stderr
    assert list(tmp_path.iterdir()) == []


TELL_SETTINGS = """
import gradio
from gradio import http_server, mcp, routes
print(http_server.LOCALHOST_NAME, http_server.INITIAL_PORT_VALUE)
print(mcp.DEFAULT_TEMP_DIR, routes.DEFAULT_TEMP_DIR)
"""


@pytest.mark.slow
def test_a_demo_of_these_tests_has_settings_of_its_own(tmp_path):
    told = run_as_demo("-c", TELL_SETTINGS, stored=tmp_path, port=4711).stdout
    assert told.split() == ["127.0.0.1", "4711", str(tmp_path), str(tmp_path)]


def test_a_port_that_is_free_is_taken_and_none_is_asked_for_without_the_setting():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert own_address.free_port({"GRADIO_SERVER_PORT": str(port)}) == port
    assert own_address.free_port({}) is None


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"GRADIO_SERVER_PORT": "http"}, "GRADIO_SERVER_PORT is 'http'; give a port's number"),
        ({"GRADIO_SERVER_PORT": "-1"}, "give a port's number, 1 to 65535"),
        ({"GRADIO_SERVER_PORT": "65536"}, "give a port's number, 1 to 65535"),
        ({"GRADIO_SERVER_PORT": "²"}, "give a port's number, 1 to 65535"),
        ({"GRADIO_SERVER_NAME": "203.0.113.7"}, "Name an address of this machine"),
    ],
)
def test_what_nobody_can_listen_at_is_told(settings, sentence):
    with pytest.raises(OptionError, match=sentence):
        own_address.free_port(settings)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "a.example, ::1"}, "a.example,::1,localhost,127.0.0.1"),
        ({"GRADIO_SERVER_NAME": "192.0.2.5"}, "localhost,127.0.0.1,::1,192.0.2.5"),
        ({"GRADIO_SERVER_NAME": "0.0.0.0"}, "localhost,127.0.0.1,::1"),
        ({"NO_PROXY": "*"}, None),
    ],
)
def test_own_addresses_need_no_proxy(given, expected):
    assert own_address.variables(given).get("NO_PROXY") == expected


def test_a_proxy_of_an_unknown_kind_is_left_out_and_others_stay():
    given = {"all_proxy": "gopher://127.0.0.1:1", "http_proxy": "http://127.0.0.1:2"}
    changes = own_address.variables({**given, "HTTPS_PROXY": "127.0.0.1:3"})
    assert changes["all_proxy"] == ""
    assert not {"http_proxy", "HTTPS_PROXY"} & changes.keys()
