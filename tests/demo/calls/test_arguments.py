"""Wrong arguments: each of each endpoint is refused in a sentence, and nothing of it is logged."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from simswap.demo.calls.arguments import FaceNumbers, File, Files, Pictures
from simswap.errors import OptionError
from tests.support.demo.demo_server import run_as_demo
from tests.support.examples import EXAMPLES

SECRET = "Anna-Karenina"
UPLOADED = {"_type": "gradio.FileData"}
# Label -> value, and the types of arguments that it could be one of. What is a text or a number of
# no sense is the options' matter.
WRONG = {
    "null": (None, ("file", "files")),
    "a text": (f"/home/{SECRET}.jpg", ("string",)),
    "a long text": (SECRET * 1000, ()),
    "a list": ([SECRET], ()),
    "a nested list": ([[[[{"path": SECRET}]]]], ()),
    "an object": ({SECRET: SECRET}, ()),
    "true": (True, ("boolean",)),
    "a number": (5, ("number",)),
    "not a number": (float("nan"), ()),
    "infinite": (float("-inf"), ()),
    "huge": (10**350, ()),
    "a path without a mark": ({"path": f"/home/{SECRET}.jpg"}, ()),
    "a path that is no text": ({"path": [SECRET], "meta": UPLOADED}, ()),
    "a mark that is no object": ({"path": SECRET, "meta": SECRET}, ()),
    "an empty path": ({"path": "", "meta": UPLOADED}, ()),
    "a list of texts": ([f"/home/{SECRET}.jpg"] * 3, ()),
    "a list of nulls": ([None, None], ()),
}
# Calls every function that is the page's own, as a hand-made request can.
CALL_ALL = """
import asyncio, json, app, gradio as gr
from starlette.requests import Request
page = app.queued_page()
sent = Request({"type": "http", "headers": [], "client": ("127.0.0.1", 9)})
values = [None, 5, float("nan"), True, [5], {"image": 5}, "Anna-Karenina"]
values += [{"path": "Anna-Karenina"}, [{"image": {"path": "Anna-Karenina"}}]]
for function in page.fns.values():
    if function.api_visibility != "private" or function.cancels:
        continue
    for value in values:
        request, event = gr.Request(sent, session_hash="page"), gr.EventData(None, value)
        inputs = [value] * len(function.inputs)
        try:
            asyncio.run(page.process_api(function, inputs, request=request, event_data=event))
            said = None
        except gr.Error as error:
            assert not error.print_exception
            said = error.message
        print(json.dumps([function.name, said]))
"""
# Of these a sentence says what is wrong, but not with which argument.
ELSEWHERE = {
    "a path that was not uploaded": f"/home/{SECRET}.jpg",
    "a file of the server": str(EXAMPLES / "astronaut.jpg"),
    "a way out of the uploads": "{uploads}/../../demo.log",
    "the uploads themselves": "{uploads}",
    "an upload that is gone": "{uploads}/0123/" + SECRET,
    "a null character": SECRET + "\0",
    "an endless path": SECRET * 100_000,
    "a lone surrogate": SECRET + "\ud800",
    "an address": f"http://127.0.0.1:9/{SECRET}",
}


def type_of(parameter: dict) -> str:
    """As `WRONG` calls it."""
    schema = parameter["type"]
    is_file = parameter["python_type"]["type"].endswith(("filepath", "filepath]"))
    if isinstance(schema["type"], list):  # a list as well
        return schema["type"][0]
    return {"array": "files", "object": "file"}[schema["type"]] if is_file else schema["type"]


@pytest.fixture(scope="module")
def parameters(demo_url: str) -> dict[str, list[tuple[str, str, object]]]:
    """(name, type, default) of each parameter of each endpoint, as the server tells them."""
    with urllib.request.urlopen(f"{demo_url}/gradio_api/info") as answer:
        endpoints = json.load(answer)["named_endpoints"]
    return {
        endpoint.strip("/"): [
            (each["parameter_name"], type_of(each), each["parameter_default"])
            for each in told["parameters"]
        ]
        for endpoint, told in endpoints.items()
    }


@pytest.fixture(scope="module")
def upload(demo_url: str) -> dict:
    """A file that the server has, and that is no photo."""
    file = {"files": (f"{SECRET}.jpg", b"no photo")}
    path = httpx.post(f"{demo_url}/gradio_api/upload", files=file).json()[0]
    return {"path": path, "meta": UPLOADED}


def calls_with(value, parameters, upload, types, once=False):
    """(endpoint, argument, data) of all calls in which one argument of some type is wrong.

    once: of one such call for each type.
    """
    left = set(types)
    for endpoint, each in parameters.items():
        valid = [{"file": upload, "files": [upload]}.get(kind, given) for _, kind, given in each]
        for number, (name, kind, _) in enumerate(each):
            if kind in left:
                left -= {kind} if once else set()
                yield endpoint, name, [*valid[:number], value, *valid[number + 1 :]]


@pytest.fixture(scope="module")
def client(demo_url: str) -> Iterator[httpx.Client]:
    """To ask the server by hand."""
    headers = {"content-type": "application/json"}
    with httpx.Client(base_url=f"{demo_url}/gradio_api", headers=headers, timeout=60) as client:
        yield client


def sentence_of(client: httpx.Client, endpoint: str, data: list) -> str:
    """What the server says to a call that is refused."""
    # The standard library's JSON knows infinity, as httpx's does not.
    event = client.post(f"/call/{endpoint}", content=json.dumps({"data": data})).json()["event_id"]
    kind, told = client.get(f"/call/{endpoint}/{event}").text.strip().split("\n")
    assert kind == "event: error"
    return json.loads(told.removeprefix("data: "))["error"]


# Tried with each argument; the others with one argument of each type.
EVERYWHERE = ("null", "a list", "an object")
ALL_TYPES = {"file", "files", "string", "number", "boolean"}


@pytest.mark.parametrize("label", WRONG)
def test_what_an_argument_cannot_be_is_told_by_its_name_and_not_logged(
    client, demo_folder, parameters, upload, label
):
    value, fits = WRONG[label]
    log = (demo_folder / "demo.log").read_text()
    tried, once = 0, label not in EVERYWHERE
    for endpoint, name, data in calls_with(value, parameters, upload, ALL_TYPES - {*fits}, once):
        default = next(given for each, _, given in parameters[endpoint] if each == name)
        if value is None and default is None:
            continue
        sentence = sentence_of(client, endpoint, data)
        assert sentence.startswith(f"{name} "), (endpoint, name)
        assert SECRET not in sentence
        tried += 1
    assert tried >= (4 if once else 10)
    assert (demo_folder / "demo.log").read_text() == log


@pytest.mark.parametrize("label", ELSEWHERE)
def test_a_path_that_is_no_upload_is_refused_without_being_repeated(
    client, demo_folder, parameters, upload, label
):
    uploads = Path(upload["path"]).parents[1]
    file = {"path": ELSEWHERE[label].format(uploads=uploads), "meta": UPLOADED}
    log = (demo_folder / "demo.log").read_text()
    for value, kind in ((file, "file"), (file, "files"), ([upload, file], "files")):
        for endpoint, _, data in calls_with(value, parameters, upload, {kind}):
            sentence = sentence_of(client, endpoint, data)
            assert "pload" in sentence, endpoint
            assert SECRET not in sentence
            assert str(uploads) not in sentence
    assert (demo_folder / "demo.log").read_text() == log


@pytest.mark.parametrize("change", [lambda data: data[:-4], lambda data: [*data, None]])
def test_too_few_and_too_many_values_are_told(client, demo_folder, parameters, upload, change):
    log = (demo_folder / "demo.log").read_text()
    for endpoint, each in parameters.items():
        data = change([{"file": upload, "files": [upload]}.get(kind, v) for _, kind, v in each])
        sentence = sentence_of(client, endpoint, data)
        assert f"{endpoint} takes {len(each)} values (" in sentence
        assert f"{len(data)} came" in sentence
    assert (demo_folder / "demo.log").read_text() == log


@pytest.mark.parametrize("number", [0.9999999, 1.5, -1, 10_000, 1e300, 10**300])
def test_a_face_of_a_list_has_a_whole_number(number):
    with pytest.raises(OptionError, match=r"faces holds .* whole numbers up to 9999\.$"):
        FaceNumbers().checked("faces", [0, number])


def test_a_list_of_faces_is_read_as_a_text_of_them():
    assert FaceNumbers().checked("faces", [0, 2.0, 9999]) == "0,2,9999"


@pytest.mark.slow
def test_what_no_page_sends_is_refused_in_a_sentence_too(tmp_path):
    """All that the page itself calls, with one and the same value for every input."""
    said = run_as_demo("-c", CALL_ALL, stored=tmp_path)
    assert said.returncode == 0, said.stderr
    answers = [json.loads(line) for line in said.stdout.splitlines()]
    assert len(answers) > 100
    assert [each for each in answers if each[1] is not None and not each[1].endswith(".")] == []
    assert [each for each in answers if SECRET in str(each[1])] == []
    assert said.stderr == ""


@pytest.mark.parametrize("argument", [Files(), Pictures()])
def test_more_files_than_anything_takes_are_refused_before_gradio_reads_them(argument):
    with pytest.raises(OptionError, match="source has 65 files; give at most 64"):
        argument.checked("source", [{"path": "a.jpg", "meta": UPLOADED}] * 65)


@pytest.mark.parametrize("argument", [File(), Files()])
def test_a_file_that_a_call_names_leaves_nothing_beside_it(argument, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    files, path = argument._component(), tmp_path / "a.jpg"
    path.touch()
    named = {"path": str(path), "meta": UPLOADED}
    given = files.data_model.model_validate([named] * 3 if files.file_count != "single" else named)
    paths = files.preprocess(given)
    assert paths == ([str(path)] * 3 if isinstance(argument, Files) else str(path))
    assert list(tmp_path.iterdir()) == [path]
