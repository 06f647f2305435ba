"""What C2PA's reader gives of a manifest, none of which need be what it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simswap.files import printable

ABOUT_SIGNERS = ("signingCredential.", "cawg.")  # beginnings of codes that tell of no change
_UNCHANGED = "ingredient.manifest.validated"  # of an earlier version of a file that is kept in it


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


def checked_versions(store: Mapping[str, Any]) -> set[str]:
    """Labels of a file's manifest that counts, and of the earlier ones seen to be as they were."""
    earlier = (each for each in _of_earlier(store, "success") if each.get("code") == _UNCHANGED)
    return {
        store["active_manifest"],
        *(str(each.get("url")).rsplit("/", 1)[-1] for each in earlier),
    }


def broken_versions(store: Mapping[str, Any]) -> set[str]:
    """Labels of the earlier versions that were broken when what was made of them was signed."""
    found = (
        one
        for each in dicts(list(store["manifests"].values()))
        for one in dicts(each.get("ingredients"))
    )
    return {str(one.get("active_manifest")) for one in found if _was_broken(one)}


def _was_broken(ingredient: Mapping[str, Any]) -> bool:
    results = as_dict(as_dict(ingredient.get("validation_results")).get("activeManifest"))
    codes = (str(each.get("code")) for each in dicts(results.get("failure")))
    return any(not code.startswith(ABOUT_SIGNERS) for code in codes)


def failures_of_earlier(store: Mapping[str, Any]) -> list[str]:
    """C2PA's codes of what does not hold of earlier versions."""
    return [str(each.get("code")) for each in _of_earlier(store, "failure")]


def _of_earlier(store: Mapping[str, Any], kind: str) -> Iterator[dict[str, Any]]:
    for found in dicts(as_dict(store.get("validation_results")).get("ingredientDeltas")):
        yield from dicts(as_dict(found.get("validationDeltas")).get(kind))
