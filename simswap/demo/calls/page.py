"""The page's own kind of Gradio page: it checks what a request holds, and tells what went wrong."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction
from starlette.requests import HTTPConnection
from starlette.types import Scope

from simswap import OptionError
from simswap.demo.calls import addresses
from simswap.demo.calls.descriptions import describe
from simswap.demo.calls.failures import UNREADABLE, readable_errors, readable_misfits
from simswap.demo.server.upload_limits import Room
from simswap.demo.services.allowances import one_call
from simswap.demo.services.cancelling import (
    as_long_as_needed,
    close,
    is_cancelled,
    until_it_ends,
)
from simswap.demo.services.uploads import new_folders, upload_folder

CLOCK_STEP = 0.05  # seconds by which a file may seem older than it is


class Page(gr.Blocks):
    """A page of which every function, however it is called, answers mistakes with a sentence.

    The queue, direct calls and MCP all go through these two methods.

    Attributes:
        room: what calls may store; None for no limit.
    """

    room: Room | None = None

    def get_api_info(self, *given: Any, **named: Any) -> dict[str, Any]:
        """As Gradio's; of our endpoints with what their docstrings say."""
        info = super().get_api_info(*given, **named)
        for function in self.fns.values():
            endpoint = info["named_endpoints"].get(f"/{function.api_name}")
            if endpoint is not None and function.api_visibility == "public":
                describe(endpoint, function)
        return info

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], *more: Any, **named: Any
    ) -> list[Any]:
        """What a function gets: files and values checked by us, then read by Gradio."""
        addresses.check_number(inputs)
        inputs = addresses.checked(_checked(block_fn, inputs))
        with readable_misfits():
            return await super().preprocess_data(block_fn, inputs, *more, **named)

    async def process_api(self, *given: Any, **named: Any) -> dict[str, Any]:
        """Call a function, or let it go on. What it stores counts.

        It is removed if the call fails or is cancelled, once its thread has ended. A call is
        taken for cancelled, too, once nobody listens any more who did.
        """
        function = named.get("block_fn", given[0] if given else None)
        event = self._queue.event_ids_to_events.get(named.get("event_id"))

        def is_left() -> bool:
            return event is not None and not event.alive

        with readable_errors(), new_folders() as made, one_call(), as_long_as_needed(is_left):
            if isinstance(function, BlockFunction) and function.fn is None:
                raise OptionError("The browser runs that function. Call one of the endpoints.")
            answer = await until_it_ends(self._process(made, *given, **named))
        if event is not None and event.streaming and _is_refusal(answer):
            event.closed = True  # or it would keep its place until its time limit
        return answer

    async def _process(self, made: list[Path], *given: Any, **named: Any) -> dict[str, Any]:
        answer = await self._process_in_room(made, *given, **named)
        if is_cancelled():  # while it has its place
            await close(answer.get("iterator"))
        return answer

    async def _process_in_room(self, made: list[Path], *given: Any, **named: Any) -> dict[str, Any]:
        if self.room is None:
            return await super().process_api(*given, **named)
        scope = _scope_of(named.get("request"))
        if _begins_a_job(named):
            await self.room.check(scope)
        started = time.time() - CLOCK_STEP
        answer = await super().process_api(*given, **named)
        self.room.note(scope, _stored_bytes(answer.get("data"), made, started))
        return answer


def _checked(function: BlockFunction, inputs: list[object]) -> list[object]:
    """The values of a request for an endpoint or for something on the page, each checked.

    Raises a SimSwapError that names what is wrong.
    """
    declared = [getattr(component, "declared", None) for component in function.inputs]
    left_out = declared[len(inputs) :]
    if function.api_visibility == "public" and all(entry[1].is_new for entry in left_out):
        inputs = [*inputs, *(argument.default for _, argument in left_out)]
    if function.api_visibility == "public" and len(inputs) != len(declared):
        names = ", ".join(name for name, _ in declared)
        raise OptionError(
            f"{function.api_name} takes {len(declared)} values ({names}); {len(inputs)} came. "
            "Give each of them."
        )
    if len(inputs) > len(declared):
        raise OptionError(f"That function takes {len(declared)} values; {len(inputs)} came.")
    # A missing value of the page's own functions is Gradio's to judge.
    known = [
        value if entry is None else entry[1].checked(entry[0], value)
        for entry, value in zip(declared, inputs, strict=False)
    ]
    return known + inputs[len(known) :]


def _is_refusal(answer: dict[str, Any]) -> bool:
    """Whether a camera's frame was refused, and so will be all that come after it."""
    return any(isinstance(value, dict) and "refused" in value for value in answer["data"])


def _begins_a_job(named: dict[str, Any]) -> bool:
    """Whether a call is a new one that may store files.

    A camera's frames, and what ends its session, store none.
    """
    block_fn = named.get("block_fn")
    is_job = not isinstance(block_fn, BlockFunction) or (
        block_fn.queue is not False and block_fn.connection != "stream"
    )
    return is_job and named.get("iterator") is None


def _scope_of(request: object) -> Scope:
    """Of the request by which a function was called: Gradio's kind, or MCP's.

    Raises gr.Error for any other: who says that a call is one of a batch makes a list of it.
    """
    if isinstance(request, gr.Request):
        request = request.request
    if not isinstance(request, HTTPConnection):
        raise gr.Error(UNREADABLE, print_exception=False)
    return request.scope


def _stored_bytes(data: object, made: list[Path], since: float) -> int:
    """Size of the files in folders that a call made, and of others that only its answer names."""
    root = f"{upload_folder()}{os.sep}"
    names = {str(path) for folder in made for path in folder.rglob("*")}
    for part in addresses.parts_of(data):
        if isinstance(part, str) and part.startswith(root):
            names.add(part)
    return sum(_size_if_new(Path(name), since) for name in names)


def _size_if_new(path: Path, since: float) -> int:
    try:
        status = path.lstat()
    except (OSError, ValueError):  # deleted meanwhile, or no path after all
        return 0
    return status.st_size if status.st_ctime >= since else 0
