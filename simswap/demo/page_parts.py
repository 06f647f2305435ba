"""Inputs above the tabs, which all of them share."""

from __future__ import annotations

from gradio.blocks import Block
from gradio.context import Context


def find(elem_id: str) -> Block:
    """A part, built before, of the page that is being built."""
    assert Context.root_block is not None
    return next(b for b in Context.root_block.blocks.values() if b.elem_id == elem_id)
