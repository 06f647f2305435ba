"""What the API page, openapi.json and an MCP client tell of the endpoints, from their docstrings.

Gradio reads a docstring line by line, and a text that is wrapped would lose its second line.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradio.block_function import BlockFunction

SECTIONS = re.compile(r"^(Args|Returns):$", re.MULTILINE)
ENTRY = re.compile(r"^ {4}(\w+): ", re.MULTILINE)
# Of Gradio's classes, for the people who write them; what an argument is says more.
OF_CLASSES = ("title", "description", "additional_description")


@dataclass(frozen=True)
class Description:
    """A docstring in Google's style. summary: all before its sections. arguments: by name."""

    summary: str
    arguments: Mapping[str, str]
    returns: str


def description_of(function: Callable[..., object]) -> Description:
    """What a function's docstring says, each part in one line."""
    summary, *sections = SECTIONS.split(inspect.getdoc(function) or "")
    parts = dict(zip(sections[::2], sections[1::2], strict=True))
    _, *entries = ENTRY.split(parts.get("Args", ""))
    arguments = zip(entries[::2], map(_in_one_line, entries[1::2]), strict=True)
    return Description(
        _in_one_line(summary), dict(arguments), _in_one_line(parts.get("Returns", ""))
    )


def describe(info: dict[str, Any], function: BlockFunction) -> None:
    """Put into Gradio's description of an endpoint what its arguments are, and what they take."""
    told = description_of(function.fn)
    info["description"] = told.summary
    for result in info["returns"]:
        result["type"] = _without_words(result["type"])
        result["python_type"] |= {"description": told.returns}
    for parameter, component in zip(info["parameters"], function.inputs, strict=True):
        name, argument = component.declared
        schema = _without_words(parameter["type"]) | argument.schema()
        kinds = parameter["python_type"] | argument.python_type()
        parameter["type"] = schema
        parameter["python_type"] = kinds | {"description": told.arguments[name]}


def with_default(schema: dict[str, Any], parameter: Mapping[str, Any]) -> dict[str, Any]:
    """An argument's JSON schema with its default, if it has one; where that is null, so is it."""
    if not parameter["parameter_has_default"]:
        return schema
    default = parameter["parameter_default"]
    schema = schema | {"default": default}
    if default is None:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _without_words(schema: object) -> Any:
    if isinstance(schema, dict):
        kept = {key: _without_words(value) for key, value in schema.items()}
        return {
            key: value
            for key, value in kept.items()
            if key not in OF_CLASSES or not isinstance(value, str)
        }
    return [_without_words(item) for item in schema] if isinstance(schema, list) else schema


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
