"""How a licence is told in the header of a card on the Hub."""

from __future__ import annotations

import re

# Of the Hub's list, what trained weights and photos come under.
LICENCE_IDS = {
    *("apache-2.0", "mit", "openrail", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0"),
    *("cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "cc-by-nd-4.0"),
}
LONGEST_NAME = 40  # characters of a licence that is named in the header


def licence_fields(licence: str) -> dict[str, str | None]:
    """`license` and `license_name` of a card's header, for a licence in a sentence or more."""
    slug = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-.")
    if slug in LICENCE_IDS:
        return {"license": slug, "license_name": None}
    name = slug if 0 < len(slug) <= LONGEST_NAME else "see-below"
    return {"license": "other", "license_name": name}
