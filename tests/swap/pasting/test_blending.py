import tracemalloc

import cv2
import numpy as np
import pytest

from simswap import geometry
from simswap.swap.pasting import blending
from simswap.swap.pasting.masks import face_mask

SIZE = 128
FRONTAL = geometry.TEMPLATES["simswap_frontal"] * SIZE
EVERYWHERE = np.pad(np.ones((SIZE - 2, SIZE - 2), np.float32), 1)  # 0 on the border only


def smooth_frame(height: int = 240, width: int = 320) -> np.ndarray:
    noise = np.random.default_rng(3).uniform(0, 255, (height, width, 3)).astype(np.float32)
    blurred = cv2.GaussianBlur(noise, (0, 0), 8)
    return cv2.normalize(blurred, None, 20, 235, cv2.NORM_MINMAX).astype(np.uint8)


def placed(degrees: float, crop_scale: float, centre: tuple[float, float]) -> np.ndarray:
    """frame_to_crop of a crop that lies around a frame point; crop_scale: crop px per frame px."""
    linear = cv2.getRotationMatrix2D((0, 0), degrees, crop_scale)[:, :2]
    middle = np.full(2, (SIZE - 1) / 2)
    return np.concatenate([linear, (middle - linear @ np.array(centre))[:, None]], axis=1)


def paste_back(
    frame: np.ndarray, crop: np.ndarray, mask: np.ndarray, frame_to_crop: np.ndarray
) -> np.ndarray:
    """A copy of the frame with the crop in it."""
    pasted = frame.copy()
    blending.paste_into(pasted, crop, mask, frame_to_crop)
    return pasted


PLACES = [
    placed(0, 1.0, (160, 120)),
    placed(20, 0.8, (150, 110)),
    placed(-75, 3.7, (200, 90)),
    placed(180, 1.5, (5, 3)),  # half outside the frame
    placed(45, 0.3, (160, 120)),  # larger than the frame
]


def random_crop(low: float = 0.2, high: float = 0.7) -> np.ndarray:
    return np.random.default_rng(5).uniform(low, high, (SIZE, SIZE, 3)).astype(np.float32)


@pytest.mark.parametrize("frame_to_crop", PLACES)
def test_paste_back_leaves_pixels_outside_the_mask_untouched(frame_to_crop):
    frame, mask = smooth_frame(), face_mask(FRONTAL, SIZE, 0.12)
    pasted = paste_back(frame, random_crop(), mask, frame_to_crop)
    height, width = frame.shape[:2]
    reach = cv2.warpAffine(
        cv2.dilate(mask, np.ones((7, 7))),  # 3 crop pixels: the interpolation's reach
        geometry.invert(frame_to_crop),
        (width, height),
        flags=cv2.INTER_LINEAR,
    )
    np.testing.assert_array_equal(pasted[reach == 0], frame[reach == 0])
    assert (pasted[reach == 1] != frame[reach == 1]).any()


def test_paste_back_with_an_empty_mask_returns_an_equal_frame():
    frame = smooth_frame()
    empty = np.zeros((SIZE, SIZE), np.float32)
    np.testing.assert_array_equal(paste_back(frame, random_crop(), empty, PLACES[1]), frame)


def test_paste_back_of_an_unchanged_crop_gives_the_frame_back():
    frame, whole_pixels = smooth_frame(), placed(0, 1.0, (160.5, 120.5))
    crop = geometry.warp_to_crop(frame, whole_pixels, SIZE).astype(np.float32) / 255
    pasted = paste_back(frame, crop, EVERYWHERE, whole_pixels)
    np.testing.assert_array_equal(pasted, frame)


@pytest.mark.parametrize("frame_to_crop", PLACES[:4])
def test_paste_back_of_an_unchanged_warped_crop_is_close_to_the_frame(frame_to_crop):
    frame, mask = smooth_frame(), face_mask(FRONTAL, SIZE, 0.12)
    crop = geometry.warp_to_crop(frame, frame_to_crop, SIZE).astype(np.float32) / 255
    pasted = paste_back(frame, crop, mask, frame_to_crop)
    assert np.abs(pasted.astype(int) - frame).max() <= 3  # half a pixel off would be 10 or more


def test_paste_back_averages_a_crop_that_shrinks():
    crop = np.zeros((SIZE, SIZE, 3), np.float32)
    crop[::2, ::2] = crop[1::2, 1::2] = 0.8  # a one-pixel checkerboard, 102 on average
    frame = np.zeros((240, 320, 3), np.uint8)
    pasted = paste_back(frame, crop, EVERYWHERE, placed(0, 4.0, (160, 120)))
    inside = pasted[110:130, 150:170].astype(int)
    assert np.abs(inside - 102).max() <= 1


def test_paste_back_of_a_crop_outside_the_frame_returns_an_equal_frame():
    frame = smooth_frame()
    far = placed(0, 1.0, (5000, 120))
    np.testing.assert_array_equal(paste_back(frame, random_crop(), EVERYWHERE, far), frame)


def test_a_very_large_face_is_blended_in_parts_that_fit(monkeypatch):
    random = np.random.default_rng(4)
    frame = random.integers(0, 256, (300, 260, 3), np.uint8)
    crop = cv2.GaussianBlur(random.random((64, 64, 3), np.float32), (0, 0), 2)
    mask = cv2.GaussianBlur(np.pad(np.ones((32, 32), np.float32), 16), (0, 0), 4)
    frame_to_crop = geometry.invert(np.array([[3.9, -0.7, 40.3], [0.7, 3.9, -8.7]]))
    whole, in_parts = frame.copy(), frame.copy()
    blending.paste_into(whole, crop, mask, frame_to_crop)
    monkeypatch.setattr(blending, "_AT_ONCE", 5000)
    blending.paste_into(in_parts, crop, mask, frame_to_crop)
    assert (whole != frame).any()
    assert np.abs(whole.astype(int) - in_parts).max() <= 2


def test_of_a_face_that_is_mostly_out_of_sight_only_what_shows_takes_memory():
    frame = np.zeros((200, 200, 3), np.uint8)
    frame_to_crop = geometry.invert(np.array([[100.0, 0, -3000], [0, 100, -3000]]))
    crop, mask = np.ones((64, 64, 3), np.float32), np.pad(np.ones((56, 56), np.float32), 4)
    tracemalloc.start()
    blending.paste_into(frame, crop, mask, frame_to_crop)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (frame == 255).all()
    assert most < 20 * frame.size  # of the whole face there would be 41 million pixels
