"""The endpoints as tools of MCP, where Gradio's own way with a list of files does not work.

There a file is a text: the address that an upload has here, or a data: URI.
"""

from __future__ import annotations

import asyncio
import base64
import json
from functools import partial
from pathlib import Path
from typing import Any

import gradio.mcp
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from gradio.block_function import BlockFunction
from gradio_client.utils import is_file_obj_with_meta
from PIL import Image

from simswap.demo.calls.addresses import MAX_ADDRESS
from simswap.demo.calls.descriptions import description_of, with_default
from simswap.demo.server.allowed_routes import MCP_BYTES
from simswap.demo.server.rate_limit import count_one_more

Position = list[str | int]  # of a file among the arguments: "source", or "source", "items"
PREFIXES = ("data:", "http://", "https://")
MAX_FILES = 16  # of a call, as an upload may have; a swap has up to 8 sources and a target
MAX_PICTURE_BYTES = MCP_BYTES * 3 // 4  # as many bytes as a message may have, in base64
HOW_TO_SEND = (
    "A file is a text: a data: URI, or the address that an upload to /gradio_api/upload of this "
    "server has. No other address is fetched."
)


class ToolServer(gradio.mcp.GradioMCPServer):
    """Gradio's, and it takes one file or a list of files, and null where that is the default.

    A picture is answered as the very file, with its signature, and its address.
    """

    def get_fn_description(
        self, block_fn: BlockFunction, tool_name: str
    ) -> tuple[str, dict[str, str]]:
        """As Gradio's: what a tool is told to do, and what each of its arguments is."""
        told = description_of(block_fn.fn)
        text = f"{told.summary} {HOW_TO_SEND} Returns: {told.returns}"
        return text, dict(told.arguments)

    def get_input_schema(
        self, tool_name: str, parameters: dict[str, str] | None = None
    ) -> tuple[dict[str, Any], list[Position]]:
        """As Gradio's; JSON schema of a tool's arguments, and the positions of files in them."""
        schema, positions = super().get_input_schema(tool_name, parameters)
        properties = schema["properties"]
        for name, *where in positions:
            file = properties[name]
            if where == ["items"]:
                file = properties[name].pop("items")
                del properties[name]["type"]
                properties[name]["anyOf"] = [file, {"type": "array", "items": file}]
            file["format"] = "uri"  # of a text; what it takes besides is of Gradio's class
            file.pop("required", None)
        endpoint = self.api_info["named_endpoints"][self.tool_to_endpoint[tool_name]]
        for parameter in endpoint["parameters"]:
            name = parameter["parameter_name"]
            properties[name] = with_default(properties[name], parameter)
        return schema, positions

    def convert_strings_to_filedata(
        self, value: dict[str, Any], filedata_positions: list[Position]
    ) -> dict[str, Any]:
        """As Gradio's; what is no such text stays as it is, for `arguments` to refuse."""
        found: list[Position] = []
        for name, *where in filedata_positions:
            given = value.get(name)
            if where and isinstance(given, str):
                value = {**value, name: [given]}
            items = value.get(name) if where else [given]
            for number, item in enumerate(items if isinstance(items, list) else []):
                if isinstance(item, str) and item.startswith(PREFIXES):
                    self._check_text(item)
                    found.append([name, number] if where else [name])
        if len(found) > MAX_FILES:
            raise ValueError(f"The call has {len(found)} files; give at most {MAX_FILES}.")
        for _ in found[1:]:  # each is stored by another request of this server to itself
            count_one_more(self.mcp_server.request_context.request.scope)
        try:
            return super().convert_strings_to_filedata(value, found)
        except (ValueError, LookupError) as error:
            raise ValueError("A data: URI is not whole. Give it as data:TYPE;base64,...") from error
        except OSError as error:  # its text names the path
            raise ValueError("The server cannot store a file just now. Try again later.") from error

    @staticmethod
    def _check_text(text: str) -> None:
        """Raise ValueError for what Gradio would take long to make a file's name of."""
        head, found, _ = text.partition(",")
        named = head if found and text.startswith("data:") else text
        if len(named) > MAX_ADDRESS:
            raise ValueError(
                f"A file's address, or what stands before its data, has {len(named)} characters; "
                f"up to {MAX_ADDRESS} are possible."
            )

    async def _execute_tool_without_progress(self, job: Any) -> list[Any]:
        """As Gradio's, which takes several results for one, and a thread that uploads need.

        A job uploads its files to this server, which stores them in threads of the same few.
        """
        result = await asyncio.wrap_future(job.future)
        return list(result) if isinstance(result, tuple) else [result]

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
        """As Gradio's; what is no file is told in JSON, where that has Python's words."""
        results = [
            result if is_file_obj_with_meta(result) else json.dumps(result) for result in data
        ]
        return super().postprocess_output_data(results, root_url)

    def get_image(self, file_path: str) -> Image.Image | None:
        """A picture, unless it is too large for a message: then its address must do."""
        path = Path(file_path)
        if path.is_file() and path.stat().st_size > MAX_PICTURE_BYTES:
            return None
        return super().get_image(file_path)

    def get_base64_data(self, image: Image.Image, format: str) -> str:
        """The file of a picture, which Gradio would write anew, without its signature."""
        return base64.b64encode(Path(image.filename).read_bytes()).decode()


def install() -> None:
    """Take it for Gradio's own.

    Its client is made at the first call, in a thread, and asks this server, which answers in
    threads: not in the same ones, and not one client for each of those who call at once.
    """
    gradio.mcp.GradioMCPServer = ToolServer
    gradio.mcp.run_sync = partial(run_sync, limiter=CapacityLimiter(1))
