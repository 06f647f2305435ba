"""The arguments of the endpoints and of the page: each is declared once, with its check.

A check sees the JSON that a request holds, before Gradio or any function of ours does, and raises
an error that names the argument. It says what kind of value came, not the value itself: that may be
a path or a file's name. Ranges are not its matter: options check their own.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import gradio as gr
from gradio.components import Component
from gradio_client.utils import is_http_url_like

from simswap import OptionError
from simswap.demo.services.uploads import OneOrMoreFiles, uploaded_file

MAX_TEXT = 2000  # characters
MAX_NUMBERS = 1000  # of one list
MAX_FILES = 64  # of one argument
MAX_FACE = 9999  # the number of a face, as `parse_faces` has it
UPLOADED = {"_type": "gradio.FileData"}  # how Gradio marks a file among other objects
HOW_TO_UPLOAD = (
    "Upload the file first and pass what the upload gave: in Python handle_file(path), in JSON "
    '{"path": ..., "meta": {"_type": "gradio.FileData"}}.'
)


@dataclass(frozen=True)
class Argument(ABC):
    """One argument. default: of a caller that does not name it. label: for people.

    is_new: it came when the endpoint was in use, so callers that list values may end before it.
    Null is taken where the default is None, or where it means that there is no file yet.
    """

    label: str = ""
    default: object = None
    is_new: bool = field(default=False, kw_only=True)

    @abstractmethod
    def _component(self) -> Component:
        """A component that no page shows, by which Gradio knows the argument's type."""

    def schema(self) -> dict[str, object]:
        """Of its JSON schema, what Gradio does not know."""
        return {}

    def python_type(self) -> dict[str, str]:
        """The same in Python's words; empty if Gradio knows all."""
        return {}

    def checked(self, name: str, value: object) -> object:
        """The value if it can be read, made uniform; raises a SimSwapError if not."""
        if value is None and self.default is None:
            return None
        return self._read(name, value)

    @abstractmethod
    def _read(self, name: str, value: object) -> object: ...


@dataclass(frozen=True)
class Text(Argument):
    """A text. max_length: in characters."""

    max_length: int = MAX_TEXT

    def _component(self) -> Component:
        return gr.Textbox(self.default, label=self.label)

    def _read(self, name: str, value: object) -> str:
        if not isinstance(value, str):
            raise OptionError(f"{name} is {kind(value)}. Give a text.")
        if len(value) > self.max_length:
            raise OptionError(
                f"{name} has {len(value)} characters; give at most {self.max_length}."
            )
        return value


@dataclass(frozen=True)
class Choice(Text):
    """One of a few texts, in capitals or not. One that is not among them is the options' matter."""

    choices: tuple[str, ...] = ()

    def schema(self) -> dict[str, object]:
        """The choices."""
        return {"enum": list(self.choices)}

    def _read(self, name: str, value: object) -> str:
        text = super()._read(name, value)
        return text.lower() if text.lower() in self.choices else text


class FaceNumbers(Text):
    """Which faces: a text as `parse_faces` reads it, or a list of their numbers."""

    def schema(self) -> dict[str, object]:
        """Both."""
        return {"type": ["string", "array"], "items": {"type": "integer"}}

    def python_type(self) -> dict[str, str]:
        """Both."""
        return {"type": "str | list[int]"}

    def _read(self, name: str, value: object) -> str:
        if not isinstance(value, list):
            return super()._read(name, value)
        for number in (numbers := Numbers().checked(name, value)):
            if not 0 <= number <= MAX_FACE or number != int(number):
                raise OptionError(
                    f"{name} holds {float(number)}. Give whole numbers up to {MAX_FACE}."
                )
        return super()._read(name, ",".join(str(int(number)) for number in numbers))


class Number(Argument):
    """A finite number."""

    def _component(self) -> Component:
        return gr.Number(self.default, label=self.label)

    def _read(self, name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise OptionError(f"{name} is {kind(value)}. Give a number.")
        try:
            is_finite = math.isfinite(value)
        except OverflowError:  # a whole number that no float holds
            raise OptionError(f"{name} is too large. Give a smaller number.") from None
        if not is_finite:
            raise OptionError(f"{name} is {value}. Give a finite number.")
        return value


class Flag(Argument):
    """Yes or no."""

    def _component(self) -> Component:
        return gr.Checkbox(self.default, label=self.label)

    def _read(self, name: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise OptionError(f"{name} is {kind(value)}. Give true or false.")
        return value


class File(Argument):
    """A file that was uploaded."""

    def _component(self) -> Component:
        return _leaving_nothing(gr.File(label=self.label))

    def _read(self, name: str, value: object) -> dict[str, object]:
        return checked_upload(name, value)


class Files(Argument):
    """One file that was uploaded, or a list of such."""

    def _component(self) -> Component:
        files = gr.File(file_count="multiple", label=self.label)
        files.data_model = OneOrMoreFiles
        return _leaving_nothing(files)

    def _read(self, name: str, value: object) -> list[dict[str, object]]:
        files = value if isinstance(value, list) else [value]
        return [checked_upload(name, file) for file in _few(name, files)]


class Pictures(Argument):
    """The uploaded pictures of a gallery."""

    def _component(self) -> Component:
        return gr.Gallery(label=self.label)

    def _read(self, name: str, value: object) -> list[dict[str, object]]:
        if not isinstance(value, list):
            raise OptionError(f"{name} is {kind(value)}. Give a list of pictures.")
        pictures = [
            item.get("image") if isinstance(item, dict) else item for item in _few(name, value)
        ]
        return [{"image": checked_upload(name, picture)} for picture in pictures]


class Numbers(Argument):
    """A list of numbers."""

    def _component(self) -> Component:
        return gr.JSON(label=self.label)

    def _read(self, name: str, value: object) -> list[float]:
        if not isinstance(value, list) or len(value) > MAX_NUMBERS:
            raise OptionError(f"{name} is no list of up to {MAX_NUMBERS} numbers.")
        return [Number(default=0).checked(name, number) for number in value]


@dataclass(frozen=True, kw_only=True)
class ListOf(Argument):
    """A list of up to `most` values; item: what each is."""

    item: Argument
    most: int

    def _component(self) -> Component:
        return gr.JSON(label=self.label)

    def _read(self, name: str, value: object) -> list[object]:
        if not isinstance(value, list) or len(value) > self.most or None in value:
            raise OptionError(f"{name} is no list of up to {self.most} values.")
        return [self.item.checked(name, one) for one in value]


@dataclass(frozen=True)
class Parts(Argument):
    """An object of the page's own scripts.

    parts: what is read of it. All else, and a part that does not fit, is left out: only the
    function knows what to say of a part that is missing.
    """

    parts: Mapping[str, Argument] = field(default_factory=dict)

    def _component(self) -> Component:
        return gr.JSON(label=self.label)

    def _read(self, name: str, value: object) -> dict[str, object]:
        given, read = value if isinstance(value, dict) else {}, {}
        for part in self.parts.keys() & given.keys():
            with suppress(OptionError):
                read[part] = self.parts[part].checked(f"{name}.{part}", given[part])
        return read


def _leaving_nothing(files: gr.File) -> gr.File:
    """It gives functions paths; by itself it leaves an empty file behind, too, for each of them."""
    files._process_single_file = lambda file: file.path
    return files


def kind(value: object) -> str:
    """What a value of JSON is, in words."""
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    words = {str: "a text", list: "a list", dict: "an object", int: "a number", float: "a number"}
    return words.get(type(value), "of an unknown kind")


def _few(name: str, files: list[object]) -> list[object]:
    if len(files) > MAX_FILES:
        raise OptionError(f"{name} has {len(files)} files; give at most {MAX_FILES}.")
    return files


def checked_upload(name: str, value: object) -> dict[str, object]:
    """An upload as Gradio reads it, with nothing but what tells where it lies.

    An address goes on to Gradio, which asks `addresses`. Raises a SimSwapError for all else.
    """
    if not isinstance(value, dict):
        raise OptionError(f"{name} is {kind(value)}, not an uploaded file. {HOW_TO_UPLOAD}")
    path, meta = value.get("path"), value.get("meta")
    is_marked = isinstance(meta, dict) and meta.get("_type") == UPLOADED["_type"]
    if not isinstance(path, str) or not path or not is_marked:
        raise OptionError(f"{name} is an object, but not an uploaded file. {HOW_TO_UPLOAD}")
    if not is_http_url_like(path):
        uploaded_file(path)
    return {"path": path, "meta": UPLOADED}


def build_endpoint(
    function: Callable[..., object],
    arguments: Mapping[str, Argument],
    outputs: Component | Sequence[Component],
    **event: object,
) -> None:
    """Make a function an endpoint of its own name; event: what `gr.Button.click` takes besides."""
    components = [argument._component() for argument in arguments.values()]
    for component, (name, argument) in zip(components, arguments.items(), strict=True):
        declare(component, name, argument)
    gr.Button().click(function, components, outputs, api_name=function.__name__, **event)


def declare(component: Component, name: str, argument: Argument) -> None:
    """Say what a component gives to the functions it is an input of."""
    component.declared = (name, argument)
