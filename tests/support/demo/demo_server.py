"""app.py as a visitor meets it: a process of its own on this machine's loopback address."""

import asyncio
import os
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.examples import ROOT
from tests.support.ports import free_port
from tests.support.warm_python import LIBRARIES, WarmProcess, WarmServer, run_warm, start_warm

START_SECONDS = 240
# What all demos of the tests have alike, and what each has of its own.
OFFLINE = {"HF_HUB_OFFLINE": "1", "NO_PROXY": "127.0.0.1"}
IN_PLACE = {
    "GRADIO_TEMP_DIR": "/in-place-of/GRADIO_TEMP_DIR",
    "GRADIO_SERVER_NAME": "in-place-of.GRADIO_SERVER_NAME",
    "GRADIO_SERVER_PORT": "59999",
}
DEMOS = WarmServer([*LIBRARIES, "tests.support.warm_gradio"], OFFLINE | IN_PLACE, [*IN_PLACE])


@contextmanager
def running_demo(folder: Path, script: Path = ROOT / "app.py", **more: str) -> Iterator[str]:
    """Start the demo, keep what it stores in `folder`, and give its address.

    script: what starts it; more: environment variables, such as SIMSWAP_MODEL.
    """
    port = free_port()
    # All tests come from one address, and fast.
    settings = {"SIMSWAP_REQUESTS_PER_MINUTE": "100000", "SIMSWAP_JOBS_PER_ADDRESS": "1000"}
    variables = {**settings_of_demo(folder / "uploads", port), **settings, **more}
    log = folder / "demo.log"
    process = start_warm([script], log, folder=script.parent, variables=variables, server=DEMOS)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def settings_of_demo(stored: Path, port: int) -> dict[str, str]:
    """Environment of a demo that keeps what it stores in a folder; no model is named."""
    own = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(stored),
    }
    return {"SIMSWAP_MODEL": "", **OFFLINE, **own}


def run_as_demo(
    *arguments: str, stored: Path, port: int = 0, **more: str
) -> subprocess.CompletedProcess[str]:
    """`python` with these arguments to its end, under a demo's settings and those in `more`."""
    variables = {**settings_of_demo(stored, port), **more}
    return run_warm(*arguments, variables=variables, server=DEMOS)


def _wait(url: str, process: WarmProcess, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"app.py did not start:\n{log.read_text()[-3000:]}")


def paths_below(folder: Path) -> list[Path]:
    """Every folder and file below it; one that is deleted meanwhile is left out."""
    walked = os.walk(folder)  # Path.rglob fails where a folder goes away
    paths = [Path(inner, name) for inner, *both in walked for names in both for name in names]
    return sorted(path for path in paths if path.exists())


@contextmanager
def at_a_distance(url: str, seconds: float) -> Iterator[str]:
    """The address of a server, as it is if what passes takes so long each way."""
    loop, connections = asyncio.new_event_loop(), set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(writer)
        with suppress(ConnectionError):
            while data := await reader.read(2**16):
                loop.call_later(seconds, writer.write, data)
        loop.call_later(seconds, writer.close)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, port = url.removeprefix("http://").rsplit(":", 1)
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(carry(reader, back), carry(there, writer))

    async def end() -> None:
        for writer in connections:
            writer.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    starting = asyncio.start_server(connect, "127.0.0.1", 0)
    server = asyncio.run_coroutine_threadsafe(starting, loop).result()
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        asyncio.run_coroutine_threadsafe(end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
