"""app.py as a visitor meets it: a process of its own on this machine's loopback address."""

import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.examples import ROOT
from tests.support.warm_python import WarmProcess, start_warm

START_SECONDS = 240


@contextmanager
def running_demo(folder: Path, script: Path = ROOT / "app.py", **more: str) -> Iterator[str]:
    """Start the demo, keep what it stores in `folder`, and give its address.

    script: what starts it; more: environment variables, such as SIMSWAP_MODEL.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(folder / "uploads"),
        "HF_HUB_OFFLINE": "1",
        # All tests come from one address, and fast.
        "SIMSWAP_REQUESTS_PER_MINUTE": "100000",
        "SIMSWAP_JOBS_PER_ADDRESS": "1000",
        "NO_PROXY": "127.0.0.1",
    }
    variables = {"SIMSWAP_MODEL": "", **settings, **more}  # none is named
    log = folder / "demo.log"
    process = start_warm([script], log, folder=script.parent, variables=variables)
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _wait(url: str, process: WarmProcess, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise RuntimeError(f"app.py did not start:\n{log.read_text()[-3000:]}")
