"""An agent swaps a photo that knows no more than what the demo's documents say.

It has a wish and a few facts, and takes the tool and the arguments whose descriptions have most
words in common with them. It knows JSON schema, MCP, OpenAPI and HTTP, but no name of ours.
"""

import asyncio
import base64
import json
import re
from collections.abc import Mapping
from concurrent.futures import Future
from pathlib import Path

import anyio
import gradio.mcp
import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.client import Job
from PIL import Image

from simswap.demo.calls import mcp_tools
from simswap.demo.calls.mcp_tools import MAX_PICTURE_BYTES, ToolServer
from simswap.verify.report import verify
from tests.demo.test_api_contract import call_tool, with_mcp
from tests.support.examples import EXAMPLES

WISH = "Put the face of one person into a photo of another."
FACTS = {
    "a photo of the person whose face it is": EXAMPLES / "grace_hopper.jpg",
    "the photo to change": EXAMPLES / "astronaut.jpg",
    "I have the right to use these faces": True,
}


def most_like(wanted: str, told: Mapping[str, str]) -> str:
    """The name whose description is nearest to what is wanted."""

    def likeness(name: str) -> float:
        words, wanted_words = (
            set(re.findall(r"\w+", text.lower())) for text in (told[name], wanted)
        )
        return len(words & wanted_words) / len(words | wanted_words)

    return max(told, key=likeness)


def arguments_for(schema: dict, send) -> dict:
    """What to call a tool with. send: makes of a file what its schema wants."""
    told = {name: entry["description"] for name, entry in schema["properties"].items()}
    given = {}
    for fact, value in FACTS.items():
        name = most_like(fact, told)
        entry = schema["properties"][name]
        given[name] = value if entry.get("type") == "boolean" else send(entry, value)
    assert set(schema["required"]) <= given.keys()
    return given


def check(content: bytes, path: Path) -> None:
    """The picture is a swap, and says so: by its signature too."""
    path.write_bytes(content)
    report = verify(path)
    assert report.verdict == "marked"
    assert report.credentials is not None
    assert content != (EXAMPLES / "astronaut.jpg").read_bytes()


def as_text(schema: dict, path: Path) -> str:
    """A file as MCP's schema wants it: the first way that fits."""
    ways = schema.get("anyOf", [schema])
    assert {"type": "string", "format": "uri"}.items() <= ways[0].items()
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"


@pytest.mark.parametrize("has_progress", [False, True])
def test_an_agent_swaps_a_photo_over_mcp(demo_url, tmp_path, has_progress):
    async def swap(session):
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        tool = tools[most_like(WISH, {name: each.description for name, each in tools.items()})]
        given = arguments_for(tool.inputSchema, as_text)
        more = {"progress_callback": ignore} if has_progress else {}
        return await session.call_tool(tool.name, given, **more)

    async def ignore(*_: object) -> None:
        pass

    answer = asyncio.run(with_mcp(demo_url, swap))
    assert not answer.isError, answer.content
    picture, address, summary = answer.content
    content = base64.b64decode(picture.data)
    check(content, tmp_path / f"swapped.{picture.mimeType.removeprefix('image/')}")
    assert httpx.get(address.text.removeprefix("Image URL: ")).content == content
    assert json.loads(summary.text)["swapped"] == [0]


def test_an_agent_swaps_a_photo_by_plain_http(demo_url, tmp_path):
    document = httpx.get(f"{demo_url}/gradio_api/openapi.json").json()
    calls = {
        operation["operationId"]: (method, f"{demo_url}{path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    bodies = {name: each[2].get("requestBody", {"content": {}}) for name, each in calls.items()}
    [upload] = [name for name in calls if "multipart/form-data" in bodies[name]["content"]]

    def resolved(schema: dict) -> dict:
        place = document
        for part in schema["$ref"].split("/")[1:] if "$ref" in schema else []:
            place = place[part]
        return place if "$ref" in schema else schema

    def sent(schema: dict, path: Path) -> dict:
        form = bodies[upload]["content"]["multipart/form-data"]["schema"]
        answer = httpx.request(*calls[upload][:2], files={form["required"][0]: path.read_bytes()})
        return filled(resolved(schema.get("anyOf", [schema])[0]), answer.json()[0])

    def filled(schema: dict, text: str) -> object:
        if "const" in schema:
            return schema["const"]
        if schema["type"] == "string":
            return text
        return {name: filled(schema["properties"][name], text) for name in schema["required"]}

    told = {name: each[2]["summary"] for name, each in calls.items()}
    method, address, operation = calls[most_like(WISH, told)]
    schema = bodies[operation["operationId"]]["content"]["application/json"]["schema"]
    begun = httpx.request(method, address, json=arguments_for(schema, sent)).json()
    [link] = operation["responses"]["200"]["links"].values()
    method, address, _ = calls[link["operationId"]]
    for name, where in link["parameters"].items():
        address = address.replace(f"{{{name}}}", begun[where.removeprefix("$response.body#/")])
    event, data = httpx.request(method, address, timeout=120).text.strip().splitlines()[-2:]
    assert event == "event: complete"
    picture, summary = json.loads(data.removeprefix("data: "))
    check(httpx.get(picture["url"]).content, tmp_path / "swapped.png")
    assert summary["swapped"] == [0]


def test_an_agent_swaps_a_photo_by_gradios_client(demo_url, tmp_path):
    client = Client(demo_url, verbose=False, download_files=tmp_path)
    info = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    name = most_like(WISH, {name: endpoint["description"] for name, endpoint in info.items()})
    parameters = {each["parameter_name"]: each for each in info[name]["parameters"]}
    schema = {
        "required": [each for each in parameters if not parameters[each]["parameter_has_default"]],
        "properties": {
            each: entry["type"] | {"description": entry["python_type"]["description"]}
            for each, entry in parameters.items()
        },
    }

    def sent(schema: dict, path: Path) -> object:
        return [handle_file(path)] if schema["type"] == "array" else handle_file(path)

    picture, summary = client.predict(**arguments_for(schema, sent), api_name=name)
    check(Path(picture).read_bytes(), tmp_path / "swapped.png")
    assert summary["swapped"] == [0]


def test_a_picture_that_is_too_large_for_a_message_comes_as_its_address(
    demo_url, tmp_path, astronaut
):
    noise = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), np.uint8)
    noise[:512, :512] = astronaut
    Image.fromarray(noise).save(tmp_path / "large.png")
    with (tmp_path / "large.png").open("rb") as photo:
        path = httpx.post(f"{demo_url}/gradio_api/upload", files={"files": photo}).json()[0]
    photo = f"{demo_url}/gradio_api/file={path}"
    answer = call_tool(demo_url, "swap_image", source=photo, target=photo)
    address, summary = (each.text for each in answer.content)
    assert json.loads(summary)["swapped"] == [0]
    assert len(httpx.get(address).content) > MAX_PICTURE_BYTES


def test_what_may_be_left_out_says_what_it_is_then(demo_url):
    [body] = [
        operation["requestBody"]["content"]["application/json"]["schema"]
        for methods in httpx.get(f"{demo_url}/gradio_api/openapi.json").json()["paths"].values()
        for operation in methods.values()
        if operation["operationId"] == "swap_image"
    ]
    for name in body["properties"].keys() - body["required"]:
        assert "default" in body["properties"][name], name
    assert None in body["properties"]["model"]["enum"]


def test_a_call_of_a_tool_that_waits_takes_none_of_the_threads_that_store_uploads():
    async def wait_for(job: Future) -> list[object]:
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 1
        waiting = asyncio.create_task(ToolServer._execute_tool_without_progress(None, job))
        await asyncio.sleep(0)  # it begins to wait
        with anyio.fail_after(10):
            await anyio.to_thread.run_sync(job.future.set_result, "stored")
        return await waiting

    assert asyncio.run(wait_for(Job(Future()))) == ["stored"]


def test_gradios_own_client_is_made_though_all_of_those_threads_are_taken(monkeypatch):
    for name in ("GradioMCPServer", "run_sync"):
        monkeypatch.setattr(gradio.mcp, name, getattr(gradio.mcp, name))
    mcp_tools.install()

    async def made() -> str:
        limiter = anyio.to_thread.current_default_thread_limiter()
        limiter.total_tokens = 1
        async with limiter:
            with anyio.fail_after(10):
                return await gradio.mcp.run_sync(lambda: "made")

    assert asyncio.run(made()) == "made"
