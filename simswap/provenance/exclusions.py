"""What a signer left out of a file's hash, where it is more than the credentials themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

LEFT_OUT = "simswap.partsLeftOut"  # our code: it fits whatever these parts hold
_NOTICED = ".additionalExclusionsPresent"  # end of C2PA's code, which is no failure to it
# Boxes that C2PA's own library leaves out of each MP4 and AVIF: of what kind the file is, where its
# parts begin, and padding.
_USUAL = ("/ftyp", "/mfra", "/free", "/skip")
_OWN = "/uuid"  # the credentials' box, if it is told by its number
_IN_BOXES = "c2pa.hash.bmff"


def has_unusual(codes: Iterable[str], manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest's hash leaves out what is shown.

    codes: what C2PA says of it beside failures. manifest: of C2PA's own reader.
    """
    noticed = [code for code in codes if code.endswith(_NOTICED)]
    return bool(noticed) and not (
        all(code == f"assertion.bmffHash{_NOTICED}" for code in noticed) and _are_usual(manifest)
    )


def _are_usual(manifest: Mapping[str, Any]) -> bool:
    hashes = [
        held
        for held in manifest.get("assertions", ())
        if str(held.get("label")).startswith(_IN_BOXES)
    ]
    try:
        left_out = [each for held in hashes for each in held["data"]["exclusions"]]
        return bool(hashes) and all(
            each["xpath"] in _USUAL or (each["xpath"] == _OWN and bool(each["data"]))
            for each in left_out
        )
    except (KeyError, TypeError):  # not as C2PA has it
        return False
