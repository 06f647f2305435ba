"""What clients build on: endpoints with their parameters and types, and the same as MCP tools."""

import asyncio
import base64
import json
import os
import re
import shutil

import httpx
import pytest
from gradio_client import Client, handle_file

from simswap.demo.calls.mcp_tools import MAX_FILES
from simswap.weights.bundle import DEFAULT_BUNDLE
from tests.support.examples import EXAMPLES, ROOT

FILE, TEXT, NUMBER, FLAG = "filepath", "str", "float", "bool"
FACES = "str | list[int]"

# name -> (parameter, type, is required); what comes back. A change here breaks people's programs.
CONTRACT = {
    "/swap_image": (
        [
            ("source", f"list[{FILE}]", True),
            ("target", FILE, True),
            ("faces", FACES, False),
            ("format", TEXT, False),
            ("match_colour", FLAG, False),
            ("mask_softness", NUMBER, False),
            ("consent", FLAG, False),
            ("model", TEXT, False),
            ("likeness", NUMBER, False),
            ("keep", TEXT, False),
            ("occlusion_mask", FLAG, False),
        ],
        [FILE, "JSON"],
    ),
    "/swap_video": (
        [
            ("source", f"list[{FILE}]", True),
            ("target", FILE, True),
            ("faces", FACES, False),
            ("start", NUMBER, False),
            ("end", NUMBER, False),
            ("format", TEXT, False),
            ("crf", NUMBER, False),
            ("detect_every", NUMBER, False),
            ("match_colour", FLAG, False),
            ("mask_softness", NUMBER, False),
            ("consent", FLAG, False),
            ("model", TEXT, False),
            ("likeness", NUMBER, False),
            ("keep", TEXT, False),
            ("occlusion_mask", FLAG, False),
        ],
        [FILE, "JSON"],
    ),
    "/detect_faces": (
        [("photo", FILE, True), ("min_score", NUMBER, False), ("model", TEXT, False)],
        ["JSON"],
    ),
    "/verify": ([("file", FILE, True)], ["JSON"]),
}
TOOLS = {name.removeprefix("/"): [p for p, _, _ in given] for name, (given, _) in CONTRACT.items()}


@pytest.fixture(scope="module")
def endpoints(demo_url: str) -> dict:
    client = Client(demo_url, verbose=False)
    return client.view_api(return_format="dict", print_info=False)["named_endpoints"]


def kind(entry: dict) -> str:
    """A parameter's or a result's Python type, without what the types of files are made of."""
    type_ = entry["python_type"]["type"]
    if "filepath" in type_ or "path: str" in type_:
        return f"list[{FILE}]" if type_.startswith("list") else FILE
    return "JSON" if entry["component"] == "Json" else type_


@pytest.mark.parametrize("name", CONTRACT)
def test_an_endpoint_takes_and_gives_what_it_always_did(endpoints, name):
    parameters, results = CONTRACT[name]
    found = endpoints[name]
    assert parameters == [
        (entry["parameter_name"], kind(entry), not entry["parameter_has_default"])
        for entry in found["parameters"]
    ]
    assert [kind(entry) for entry in found["returns"]] == results


def test_every_endpoint_is_pinned_and_documented(endpoints):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(endpoints) == set(CONTRACT)
    assert [name for name in endpoints if f"`{name}`" not in readme] == []


def test_every_argument_is_described_in_whole_sentences_of_our_own(endpoints):
    for entry in endpoints.values():
        for told in [parameter["python_type"]["description"] for parameter in entry["parameters"]]:
            assert re.fullmatch(r'["A-Z].{10,}\.', told)
        assert "FileData class" not in json.dumps(entry)


def test_of_a_few_words_the_documents_name_each(endpoints):
    allowed = {
        parameter["parameter_name"]: parameter["type"].get("enum")
        for parameter in endpoints["/swap_image"]["parameters"]
    }
    assert allowed["format"] == ["png", "jpeg"]
    assert allowed["model"] == [DEFAULT_BUNDLE.name]


async def with_mcp(demo_url: str, use):
    client = pytest.importorskip("mcp.client.streamable_http")
    from mcp import ClientSession

    async with (
        client.streamable_http_client(f"{demo_url}/gradio_api/mcp/") as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        return await use(session)


def test_mcp_lists_the_endpoints_as_tools_and_nothing_of_the_page(demo_url):
    listed = asyncio.run(with_mcp(demo_url, lambda session: session.list_tools()))
    tools = {tool.name: list(tool.inputSchema["properties"]) for tool in listed.tools}
    assert tools == TOOLS
    for tool in listed.tools:
        assert len(tool.description) > 100
        described = tool.inputSchema["properties"].values()
        assert all(property["description"].endswith(".") for property in described)
        assert ",," not in tool.description


def as_data_uri(demo_url: str) -> str:
    photo = (EXAMPLES / "two_portraits.jpg").read_bytes()
    return f"data:image/jpeg;base64,{base64.b64encode(photo).decode()}"


def as_upload(demo_url: str) -> str:
    with (EXAMPLES / "two_portraits.jpg").open("rb") as photo:
        answer = httpx.post(f"{demo_url}/gradio_api/upload", files={"files": photo})
    return f"{demo_url}/gradio_api/file={answer.json()[0]}"


def call_tool(demo_url: str, name: str, **arguments: object):
    """What the official client gets from a tool."""
    return asyncio.run(with_mcp(demo_url, lambda session: session.call_tool(name, arguments)))


@pytest.mark.parametrize("given", [as_data_uri, as_upload])
@pytest.mark.parametrize("num_sources", [None, 1, 2])
def test_a_tool_called_over_mcp_swaps_a_photo(demo_url, given, num_sources):
    photo = given(demo_url)
    source = [photo] * num_sources if num_sources else photo
    answer = call_tool(demo_url, "swap_image", source=source, target=photo, faces="1", model=None)
    assert not answer.isError, answer.content
    assert json.loads(answer.content[-1].text)["swapped"] == [1]


@pytest.mark.slow
def test_a_tool_called_over_mcp_swaps_a_video(demo_url, face_clip):
    with face_clip.open("rb") as video:
        path = httpx.post(f"{demo_url}/gradio_api/upload", files={"files": video}).json()[0]
    target = f"{demo_url}/gradio_api/file={path}"
    source = [as_data_uri(demo_url), as_upload(demo_url)]
    answer = call_tool(demo_url, "swap_video", source=source, target=target, end=0.2, crf=None)
    assert not answer.isError, answer.content
    address, summary = (each.text for each in answer.content)
    assert address.endswith("simswap.mp4")
    assert json.loads(summary)["faces_swapped"] == 5


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ([], "There is no source photo yet"),
        ("/home/Anna.jpg", "source is a text, not an uploaded file"),
        (["/home/Anna.jpg"], "source is a text, not an uploaded file"),
        (["data:image/png;base64,Anna"], "is damaged or incomplete|not a photo"),
        (["data:image/png;base64,A"], "A data: URI is not whole"),
        (["http://127.0.0.1:9/Anna.jpg"], "Addresses are not fetched"),
        (["http://" + "Anna" * 500_000], "has 2000007 characters; up to 4096 are possible"),
        (["data:" + "Anna" * 500_000], "has 2000005 characters; up to 4096 are possible"),
        ([["nested"]], "Input validation error"),
    ],
)
def test_a_tool_that_is_called_wrongly_says_why_and_logs_nothing(
    demo_url, demo_folder, source, sentence
):
    log = (demo_folder / "demo.log").read_text()
    answer = call_tool(demo_url, "swap_image", source=source, target=as_upload(demo_url))
    assert answer.isError
    assert re.search(sentence, answer.content[0].text)
    assert "Anna" not in answer.content[0].text
    assert (demo_folder / "demo.log").read_text() == log


@pytest.mark.parametrize("given", [as_data_uri, as_upload])
def test_a_tool_called_over_mcp_finds_two_faces(demo_url, given):
    answer = call_tool(demo_url, "detect_faces", photo=given(demo_url))
    assert not answer.isError
    faces = json.loads(answer.content[0].text)
    assert len(faces) == 2
    assert faces[0]["box"] == [round(value, 1) for value in faces[0]["box"]]


def test_a_tool_called_over_mcp_stores_so_many_files_at_most(demo_url, demo_folder):
    def stored() -> int:
        return sum(len(names) for _, _, names in os.walk(demo_folder / "uploads"))

    before, photo = stored(), "data:image/png;base64,AAAA"
    answer = call_tool(demo_url, "swap_image", source=[photo] * MAX_FILES, target=photo)
    assert answer.isError
    assert answer.content[0].text == "The call has 17 files; give at most 16."
    assert stored() == before


@pytest.mark.parametrize("changed", [{"faces": [1]}, {"faces": "1", "format": "JPEG"}])
def test_numbers_and_words_are_taken_as_people_write_them(demo_url, changed):
    photo, client = handle_file(EXAMPLES / "two_portraits.jpg"), Client(demo_url, verbose=False)
    _, summary = client.predict(photo, photo, **changed, api_name="/swap_image")
    assert summary["swapped"] == [1]


def examples_of_readme() -> list[str]:
    """The calls in README's table of endpoints."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^\| `/\w+` .*`(client\.predict\(.*\))` \|$", readme, re.M)


@pytest.mark.parametrize("example", examples_of_readme())
def test_an_example_of_the_readme_runs_as_written(
    demo_url, face_clip, tmp_path, monkeypatch, example
):
    for name, file in (("a.jpg", "grace_hopper.jpg"), ("b.jpg", "two_portraits.jpg")):
        shutil.copy(EXAMPLES / file, tmp_path / name)
    shutil.copy(face_clip, tmp_path / "in.mp4")
    monkeypatch.chdir(tmp_path)
    client = Client(demo_url, verbose=False, download_files=tmp_path)
    assert eval(example, {"client": client, "handle_file": handle_file})


def test_the_readme_shows_an_example_of_each_endpoint():
    shown = [re.search(r'api_name="(/\w+)"', example)[1] for example in examples_of_readme()]
    assert sorted(shown) == sorted(CONTRACT)
