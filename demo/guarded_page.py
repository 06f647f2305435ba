"""Gradio's page with two promises: it sees no file that was not uploaded, and logs no input."""

from __future__ import annotations

import logging

import gradio as gr
from gradio.block_function import BlockFunction
from gradio.state_holder import SessionState

from demo import addresses
from demo.quiet_log import place
from demo.refusals import DISK_FULL, is_disk_full

logger = logging.getLogger(__name__)

FAILED = "This call failed. Check its arguments (the page's API link lists them), then try again."


class Page(gr.Blocks):
    """Gradio's Blocks; what a call sends is checked before, what it raises is told without it."""

    async def preprocess_data(
        self,
        block_fn: BlockFunction,
        inputs: list[object],
        state: SessionState | None,
        explicit_call: bool = False,
    ) -> list[object]:
        """As Gradio's, with the files that the inputs name checked before it sees them."""
        return await super().preprocess_data(
            block_fn, addresses.checked(inputs), state, explicit_call
        )

    async def process_api(self, *arguments: object, **named: object) -> dict[str, object]:
        """As Gradio's, which would write the traceback of an error into the log, and the inputs."""
        try:
            return await super().process_api(*arguments, **named)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            # Whatever it is, its message may hold a file's name or other input.
            logger.error("A call failed: %s", place(error))
            sentence = DISK_FULL if is_disk_full(error) else FAILED
            raise gr.Error(sentence, print_exception=False) from None
