"""A file that claims to be of people's making, while its faces carry the watermark."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from simswap.provenance.metadata import COMPOSITE_WITH_MODEL, SOURCE_TYPES, synthetic_xmp
from simswap.verify.report import details, verify
from simswap.verify.watermark import FoundWatermark
from tests.support.credentials.certificates import make_certificate, sign_as_camera

MARKED = FoundWatermark((0.0,), 1, (True,), "0000abcd", "m", 1e-9)
CLAIM = "claims that people or a camera made this photo"


def photo_that_says(path, term):
    text = PngInfo()
    xmp = synthetic_xmp("m").decode().replace(COMPOSITE_WITH_MODEL, SOURCE_TYPES + term)
    text.add_itxt("XML:com.adobe.xmp", xmp)
    Image.new("RGB", (40, 40)).save(path, pnginfo=text)
    return verify(path)


@pytest.mark.parametrize("term", ["digitalCapture", "humanEdits", "digitalCreation"])
def test_a_claim_of_human_making_is_told_beside_a_watermark(tmp_path, term):
    report = photo_that_says(tmp_path / "photo.png", term)
    assert CLAIM not in " ".join(details(report))
    told = " ".join(details(replace(report, watermark=MARKED)))
    assert CLAIM in told
    assert term in told


def test_a_claim_in_credentials_counts_too(tmp_path):
    pixels = np.random.default_rng(5).integers(0, 255, (80, 96, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.jpg")
    sign_as_camera(tmp_path / "photo.jpg", "image/jpeg", make_certificate())
    report = replace(verify(tmp_path / "photo.jpg"), watermark=MARKED)
    assert "digitalCapture" in report.human_claim
    assert CLAIM in " ".join(details(report))


@pytest.mark.parametrize("term", ["compositeWithTrainedAlgorithmicMedia", "unheardOf"])
def test_other_words_are_no_such_claim(tmp_path, term):
    report = photo_that_says(tmp_path / "photo.png", term)
    assert CLAIM not in " ".join(details(replace(report, watermark=MARKED)))
