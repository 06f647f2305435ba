"""What goes wrong in the demo: a sentence for the visitor, a line without data for the log."""

import asyncio
import subprocess
import sys

import gradio as gr
import numpy as np
import pytest
import torch

from simswap import OptionError
from simswap.demo.calls import failures
from simswap.demo.calls.page import Page
from tests.support.examples import ROOT

SECRET = "Anna-Karenina"
# Runs a page whose function takes all memory there is and then fails, and one that needs some.
GREEDY = """
import asyncio, resource
import gradio as gr, numpy as np
from simswap.demo.calls.page import Page

def taken():
    return [int(n) * resource.getpagesize() for n in open("/proc/self/statm").read().split()[:2]]

kept = []

def greedy():
    held = []
    while True:
        held.append(np.ones(20_000, np.float32))  # small enough for the heap
        kept.append(bytes(2_000))  # what else needs memory meanwhile: the heap cannot just shrink

def modest():
    return str(len(np.ones(50_000, np.uint8)))

with Page() as page:
    said = gr.Textbox()
    for function in (greedy, modest):
        gr.Button().click(function, None, said)
space, before = taken()
resource.setrlimit(resource.RLIMIT_AS, (space + 500_000_000, -1))
try:
    asyncio.run(page.process_api(page.fns[0], []))
except gr.Error as error:
    print(error.message)
print(asyncio.run(page.process_api(page.fns[1], []))["data"])
print((taken()[1] - before) // 1_000_000)
"""


def call(function, *inputs):
    """Call a function as a page would."""
    with Page() as page:
        component = gr.Textbox()
        gr.Button().click(function, [component] * len(inputs), component)
    return asyncio.run(page.process_api(page.fns[0], list(inputs)))


def fail_with(error: Exception):
    def function(text):
        raise error

    return function


def test_a_mistake_is_its_own_sentence():
    with pytest.raises(gr.Error) as told:
        call(fail_with(OptionError("Give a number.")), "")
    assert (told.value.message, told.value.print_exception) == ("Give a number.", False)


def test_what_nobody_expected_is_a_sentence_and_a_line_without_values(caplog):
    def function(text):
        from simswap.demo.tabs import face_strip

        face_strip.show(text, [None], "photo.jpg")  # AttributeError, in our code

    with pytest.raises(gr.Error) as told:
        call(function, SECRET)
    assert (told.value.message, told.value.print_exception) == (failures.UNEXPECTED, False)
    assert caplog.messages[0].startswith("AttributeError at simswap/demo/calls/page.py:")
    assert "simswap/demo/tabs/face_strip.py:" in caplog.messages[0]
    assert len(caplog.records) == 1
    assert caplog.records[0].exc_info is None


@pytest.mark.parametrize("kind", [ValueError, KeyError, RuntimeError, gr.Error])
def test_the_text_of_an_error_is_not_logged(caplog, capfd, kind):
    with pytest.raises(gr.Error) as told:
        call(fail_with(kind(SECRET)), "")
    assert told.value.print_exception is False
    assert SECRET not in told.value.message + caplog.text + "".join(capfd.readouterr())


def test_what_a_lent_gpu_says_reaches_the_visitor():
    error = gr.Error("Your quota is used up.", print_exception=False)
    with pytest.raises(gr.Error, match="Your quota is used up") as told:
        call(fail_with(error), "")
    assert told.value.print_exception is False


def test_a_path_of_the_server_is_taken_out_of_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "private"))
    error = OptionError(f"The folder {tmp_path}/private/a/b.png is full ({ROOT}). Choose another.")
    with pytest.raises(gr.Error) as told:
        call(fail_with(error), "")
    assert told.value.message == "The folder on the server is full (on the server). Choose another."


def numpy_wants_too_much(text):
    np.empty(1 << 55, np.uint8)


def torch_wants_too_much(text):
    torch.empty(1 << 55, dtype=torch.uint8)


def generator_wants_too_much(text):
    yield "begun"
    np.empty(1 << 55, np.uint8)


def onednn_has_no_memory(text):
    raise RuntimeError("could not create a primitive")


@pytest.mark.parametrize(
    "function", [numpy_wants_too_much, torch_wants_too_much, onednn_has_no_memory]
)
def test_a_lack_of_memory_is_told(function):
    with pytest.raises(gr.Error, match="ran out of memory"):
        call(function, "")


def test_a_lack_of_memory_inside_a_tab_is_told_to_the_tab():
    with pytest.raises(gr.Error, match="ran out of memory"), failures.readable_errors():
        list(generator_wants_too_much(""))


def test_a_full_disk_is_told():
    def function(text):
        with open("/dev/full", "w") as disk:
            disk.write(SECRET)

    with pytest.raises(gr.Error, match="no room for more files"):
        call(function, "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_that_ran_out_is_given_back_and_the_next_call_works():
    said = subprocess.run(
        [sys.executable, "-c", GREEDY],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    sentence, answer, kept = said.stdout.splitlines()
    assert sentence == failures.OUT_OF_MEMORY, said.stderr
    assert answer == "['50000']"
    assert int(kept) < 100  # of 500 MB
    assert "Traceback" not in said.stderr
