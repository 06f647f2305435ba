"""What C2PA's reader gives of a manifest, none of which need be what it should be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simswap.files import printable


def actions_in(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All actions that a manifest tells of, in order."""
    assertions = dicts(manifest.get("assertions"))
    found = (held for held in assertions if str(held.get("label")).startswith("c2pa.actions"))
    return [each for held in found for each in dicts(as_dict(held.get("data")).get("actions"))]


def as_dict(value: object) -> dict[str, Any]:
    """What a stranger should have written as a mapping; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def dicts(value: object) -> list[dict[str, Any]]:
    """Likewise of a list of mappings."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def software_of(manifest: Mapping[str, Any]) -> str | None:
    """The program that made it, and its version, as it says."""
    found = manifest.get("claim_generator_info") or [{}]
    named = " ".join(str(found[0][key]) for key in ("name", "version") if found[0].get(key))
    return text_of(named or manifest.get("claim_generator"))


def text_of(value: object) -> str | None:
    """A value in words that are safe to print; None for none."""
    return printable(str(value)) if value else None
