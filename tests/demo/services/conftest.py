"""The folder of uploads, which the demo's services read from and write to; and a busy demo."""

import threading
from pathlib import Path

import pytest

from simswap.demo.services import allowances, nsfw
from simswap.demo.services.uploads import read_upload
from simswap.media import allowance
from tests.support.media.small_photos import PIXELS, written


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder(uploads, monkeypatch) -> Path:
    """It, while no photo is taken for a sexual one."""
    monkeypatch.setattr(nsfw, "check", lambda image, name: None)
    return uploads


@pytest.fixture
def busy(folder, monkeypatch):
    """A large photo's path, while another call has read it and is not at its end."""
    monkeypatch.setattr(allowance, "LARGE", PIXELS - 1)
    path, has_read, may_end = written(folder, "large.png"), threading.Event(), threading.Event()

    def work() -> None:
        with allowances.one_call():
            read_upload(path)
            read_upload(path)  # its turn has come already
            has_read.set()
            may_end.wait(20)

    other = threading.Thread(target=work)
    other.start()
    assert has_read.wait(20)
    yield path, may_end
    may_end.set()
    other.join()
