"""The files that calls make: each counts, and those of a call that fails are removed."""

import asyncio

import gradio as gr
import pytest
from starlette.requests import Request

from simswap import MediaError
from simswap.demo.calls.page import Page
from simswap.demo.server.upload_limits import Room
from simswap.demo.services import uploads


def test_a_call_that_fails_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def write_and_fail() -> None:
        (uploads.new_folder() / "half.png").write_bytes(b"x")
        raise MediaError("No.")

    with Page() as page:
        gr.Button().click(write_and_fail)
    with pytest.raises(gr.Error):
        asyncio.run(page.process_api(page.fns[0], []))
    assert not list(tmp_path.iterdir())


def test_what_a_call_makes_counts_also_where_its_answer_does_not_name_it(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))

    def write() -> None:
        (uploads.new_folder() / "a.png").write_bytes(bytes(600_000))

    with Page() as page:
        gr.Button().click(write)
    page.room = Room(tmp_path, gigabytes=0.001)
    request = gr.Request(request=Request({"type": "http", "client": ("a", 1)}))
    asyncio.run(page.process_api(page.fns[0], [], request=request))
    with pytest.raises(gr.Error, match="results included"):
        asyncio.run(page.process_api(page.fns[0], [], request=request))
