"""Reads simple properties of an XMP packet, in memory that does not grow with what it repeats."""

from __future__ import annotations

from collections.abc import Collection
from xml.parsers import expat

from simswap.files import printable

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_MAX_DEPTH = 100  # of elements in elements; real packets have about ten
_MAX_NAMESPACES = 1_000  # that are declared; real packets have about twenty
_XMLNS = "xmlns"

Property = tuple[str, str]  # a namespace's address, and a name in it


class _TooMuch(Exception):
    """The packet is built to cost much."""


def read_properties(packet: bytes, wanted: Collection[Property]) -> dict[Property, str]:
    """The first value of each wanted property that has one, made safe to print.

    RDF may write a property as attribute, text or reference. None are found in a packet that is
    not sound XML in UTF-8, declares entities, or is nested deeper than any program writes it.
    """
    reader = _Reader(wanted)
    # No separator, so no namespace is written out; and no table of the names, which may all differ.
    parser = expat.ParserCreate(None, None, None)
    parser.buffer_text = parser.ordered_attributes = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(packet.decode("utf-8").strip("\ufeff\0 \r\n\t"), True)
    except (UnicodeDecodeError, expat.ExpatError, _TooMuch):
        return {}
    return reader.values


class _Reader:
    """Keeps what is wanted while the parser passes over a packet, and builds no tree of it.

    The parser is not asked to write out namespaces: one long address would be repeated in every
    name. Here a prefix is looked up instead.
    """

    def __init__(self, wanted: Collection[Property]) -> None:
        self.wanted = wanted
        self.names = {name for _, name in wanted}
        self.values: dict[Property, str] = {}
        self.num_namespaces = 0
        # Of the elements that are open: the namespaces by prefix that each declares.
        self.scopes: list[dict[str, str]] = []
        # The element that was opened last, if it is wanted and nothing is inside of it yet: the
        # property, what it refers to, and its text so far.
        self.open: Property | None = None
        self.reference = ""
        self.text: list[str] = []

    def start(self, name: str, attributes: list[str]) -> None:
        """An element begins. attributes: names and values in turn."""
        self._close()
        pairs = list(zip(attributes[::2], attributes[1::2], strict=True))
        declared = {
            key.removeprefix(_XMLNS).removeprefix(":"): address
            for key, address in pairs
            if key == _XMLNS or key.startswith(f"{_XMLNS}:")
        }
        self.num_namespaces += len(declared)
        if len(self.scopes) >= _MAX_DEPTH or self.num_namespaces > _MAX_NAMESPACES:
            raise _TooMuch
        self.scopes.append(declared)
        references = []
        for key, value in pairs:
            prefix, _, local = key.rpartition(":")
            if prefix and local == "resource" and self._address(prefix) == RDF:
                references.append(value)
            elif prefix and local in self.names:  # a name without prefix is in no namespace
                self._keep((self._address(prefix), local), value)
        prefix, _, local = name.rpartition(":")
        if local in self.names and (found := (self._address(prefix), local)) in self.wanted:
            self.open, self.reference, self.text = found, "".join(references), []

    def characters(self, text: str) -> None:
        """Text of the element that is open."""
        if self.open is not None:
            self.text.append(text)

    def end(self, _name: str) -> None:
        """An element ends."""
        self._close()
        self.scopes.pop()

    def _close(self) -> None:
        """The element that was opened last has no more text before what is inside of it."""
        if self.open is not None:
            self._keep(self.open, "".join(self.text) or self.reference)
            self.open = None

    def _keep(self, found: Property, value: str) -> None:
        if found in self.wanted and value.strip():
            self.values.setdefault(found, printable(value.strip()))

    def _address(self, prefix: str) -> str:
        """What a prefix stands for here; empty if nothing declares it."""
        return next((scope[prefix] for scope in reversed(self.scopes) if prefix in scope), "")

    def refuse(self, *_: object) -> None:
        """Entities are never expanded."""
        raise _TooMuch
