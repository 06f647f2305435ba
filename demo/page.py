"""The page's own kind of Gradio page: it checks what a request holds, and tells what went wrong."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.block_function import BlockFunction

from demo import addresses, arguments
from demo.failures import readable_errors, readable_misfits


class Page(gr.Blocks):
    """A page of which every function, however it is called, answers mistakes with a sentence.

    The queue, direct calls and MCP all go through these two methods.
    """

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], *more: Any, **named: Any
    ) -> list[Any]:
        """What a function gets: files and values checked by us, then read by Gradio."""
        inputs = addresses.checked(arguments.checked(block_fn, inputs))
        with readable_misfits():
            return await super().preprocess_data(block_fn, inputs, *more, **named)

    async def process_api(self, *given: Any, **named: Any) -> dict[str, Any]:
        """Call a function, or let it go on."""
        with readable_errors():
            return await super().process_api(*given, **named)
