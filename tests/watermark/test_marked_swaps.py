"""The watermark in whole swapped photos: detection, changes on the way, and what is told."""

import numpy as np
import pytest
from PIL import Image

from simswap import SwapOptions, geometry
from simswap.swap.pasting.blending import paste_into
from simswap.swap.pasting.masks import face_mask
from simswap.watermark import embedding
from simswap.watermark.code import watermark_id
from simswap.watermark.reading import read_faces
from train.checks.watermark_channels import CHANNELS, stored

pytestmark = pytest.mark.slow

SIZE = 128


@pytest.fixture(scope="module")
def swap(swapper, astronaut, grace_hopper):
    return swapper.swap_image(grace_hopper, swapper.identity_of(astronaut))


def halved(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    return np.array(Image.fromarray(frame).resize((width // 2, height // 2)))


def cut(frame: np.ndarray) -> np.ndarray:
    rows, columns = frame.shape[0] // 10, frame.shape[1] // 10
    return frame[rows:-rows, columns:-columns]


def filmed(frame: np.ndarray) -> np.ndarray:
    return CHANNELS["H.264, CRF 23, any of 6 frames"](frame)[0]


def mirrored(frame: np.ndarray) -> np.ndarray:
    return stored(np.ascontiguousarray(frame[:, ::-1]), "JPEG", quality=80)[0]


@pytest.mark.parametrize(
    "change",
    [np.array, lambda frame: stored(frame, "JPEG", quality=70)[0], halved, cut, filmed, mirrored],
    ids=["as it is", "jpeg 70", "half the size", "cropped", "h.264", "mirrored"],
)
def test_a_swap_is_read_after(change, swapper, swap):
    assert swap.marked == (0,)
    readings = swapper.read_watermarks(change(swap.image))
    assert [reading.bundle_id for reading in readings] == [watermark_id(swapper.name)]
    assert readings[0].false_positive < 1e-6


@pytest.mark.parametrize(
    "change",
    [np.array, lambda frame: stored(frame, "JPEG", quality=70)[0], halved, filmed],
    ids=["as it is", "jpeg 70", "half the size", "h.264"],
)
@pytest.mark.parametrize(("size", "plane"), [(520, 192), (1200, 256)])
def test_a_large_swap_with_its_finer_mark_is_read_after(
    change, size, plane, swapper, astronaut, grace_hopper
):
    large = np.array(Image.fromarray(astronaut[:320, 60:380]).resize((size, size)))
    swap = swapper.swap_image(large, swapper.identity_of(grace_hopper))
    assert embedding.plane_of(embedding.side_in_frame(swap.faces[0].landmarks)) == plane
    readings = swapper.read_watermarks(change(swap.image))
    assert [reading.bundle_id for reading in readings] == [watermark_id(swapper.name)]


def test_both_of_two_faces_carry_the_mark(swapper, astronaut):
    from tests.support.examples import read_example

    photo, identity = read_example("two_portraits.jpg"), swapper.identity_of(astronaut)
    result = swapper.swap_image(photo, identity)
    plain = swapper.swap_image(photo, identity, SwapOptions(watermark=False)).image
    assert result.marked == result.swapped == (0, 1)
    for face in result.faces:
        x0, y0, x1, y1 = face.box.astype(int)
        assert (result.image[y0:y1, x0:x1] != plain[y0:y1, x0:x1]).mean() > 0.25
    assert len(read_faces(result.image, result.faces)) == 2


def test_examples_carry_no_mark(swapper, astronaut, grace_hopper):
    assert swapper.read_watermarks(astronaut) == swapper.read_watermarks(grace_hopper) == []


def test_pixels_outside_the_mask_stay_as_they_were(swapper, swap, astronaut, grace_hopper):
    options = SwapOptions(watermark=False)
    plain = swapper.swap_image(grace_hopper, swapper.identity_of(astronaut), options).image
    untouched = (plain == grace_hopper).all(axis=2)
    face = swap.faces[0]
    transform = geometry.frame_to_crop_transform(
        face.landmarks, swapper.alignment.crop_template, SIZE
    )
    mask = face_mask(geometry.apply(transform, face.landmarks), SIZE, 0.08)
    pasted = np.zeros_like(grace_hopper)
    paste_into(pasted, np.ones((SIZE, SIZE, 3), np.float32), mask, transform)
    outside = (pasted == 0).all(axis=2)
    assert outside.sum() > untouched.size / 2
    assert np.array_equal(swap.image[outside], grace_hopper[outside])


def test_small_faces_are_told_of_and_left_unmarked(swapper, astronaut, grace_hopper):
    small = np.array(Image.fromarray(astronaut).resize((220, 220)))
    result = swapper.swap_image(small, swapper.identity_of(grace_hopper))
    assert result.swapped == (0,)
    assert result.marked == ()
    assert "1 face is too small to carry the watermark." in result.notices
