"""What C2PA's library finds in order, and leaves out of its look, is not believed."""

import pytest

from simswap.provenance import exclusions, manifests

HASH = {
    "label": "c2pa.hash.bmff.v3",
    "data": {
        "hash": "qd6l",
        "exclusions": [
            {"xpath": "/uuid", "data": [{"offset": 8, "value": "2P7D1hsOSDySl1goh37EgQ=="}]},
            {"xpath": "/free"},
        ],
    },
}


@pytest.mark.parametrize(
    "left_out",
    [
        [{"xpath": "/uuid"}],
        [{"xpath": "/uuid", "data": [{"offset": 8, "value": "2P7D"}]}],
        [{"xpath": "/mdat"}],
        [{"xpath": "/moov/trak"}],
        [{}],
        [7],
        None,
    ],
)
def test_of_a_file_of_boxes_only_what_shows_nothing_may_be_left_out(left_out):
    assert exclusions.has_unusual([], {"assertions": [HASH]}) is False
    changed = HASH | {"data": HASH["data"] | {"exclusions": left_out}}
    assert exclusions.has_unusual([], {"assertions": [changed]}) is True


@pytest.mark.parametrize(
    ("code", "is_broken"),
    [("assertion.dataHash.mismatch", True), ("signingCredential.untrusted", False)],
)
def test_what_a_version_says_that_was_broken_when_it_was_edited_is_no_word(code, is_broken):
    results = {"activeManifest": {"failure": [{"code": code}]}}
    edited = {"ingredients": [{"active_manifest": "first", "validation_results": results}]}
    found = manifests.broken_versions({"manifests": {"second": edited, "first": {}}})
    assert found == ({"first"} if is_broken else set())


@pytest.mark.parametrize("change", [{"hash": None}, {"hash": ""}, {"merkle": [{"count": 1}]}])
def test_a_hash_of_boxes_that_is_not_there_or_of_parts_only_is_told(change):
    changed = HASH | {"data": HASH["data"] | change}
    assert exclusions.has_unusual([], {"assertions": [HASH, changed]}) is True


@pytest.mark.parametrize("odd", [{"data": None}, {"data": 7}, {"label": "c2pa.hash.bmff"}])
def test_a_hash_of_boxes_of_another_form_is_told(odd):
    assert exclusions.has_unusual([], {"assertions": [HASH | odd]}) is True
