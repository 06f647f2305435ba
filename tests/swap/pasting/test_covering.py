"""What covers a face stays the target's: on made-up maps, and with the bundled parser."""

import cv2
import numpy as np
import pytest
import torch

from simswap import Identity, OptionError, SwapOptions, geometry
from simswap.models.parser import CLASSES
from simswap.swap.pasting import covering
from simswap.swap.pasting.covering import cover_of, find_covers
from simswap.swap.pasting.eyes import eye_region
from simswap.swap.pasting.masks import uncovered
from simswap.swap.rendering import AlignedFace, align_face
from simswap.swap.selection import SwapPlan
from simswap.types import parse_keep

SIZE = 64


class FixedParser:
    """A network that sees the same in every face."""

    device = torch.device("cpu")

    def __init__(self, seen: torch.Tensor) -> None:
        self.seen = seen

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.seen


def covered(*spots: tuple[int, int, int, float], is_thing: bool = False) -> np.ndarray:
    """The cover of a map of zeros with squares: row, column, side, share."""
    share = np.zeros((SIZE, SIZE), np.float32)
    for row, column, side, value in spots:
        share[row : row + side, column : column + side] = value
    return cover_of(share, share if is_thing else np.zeros_like(share))


def test_a_sure_region_is_covered_wholly_and_softly_ends():
    cover = covered((20, 20, 16, 1.0))
    assert cover[22:34, 22:34].min() > 0.99
    assert 0 < cover[19, 28] < 1
    assert cover[:16].max() < 1e-6


def test_a_doubtful_region_and_a_small_island_punch_no_hole():
    assert covered((10, 10, 30, 0.7)).max() == 0
    assert covered((40, 40, 3, 1.0)).max() == 0


def test_a_region_with_a_sure_core_keeps_its_doubtful_border():
    cover = covered((10, 10, 20, 0.7), (14, 14, 12, 1.0))
    assert cover[12, 20] > 0.6


def test_a_thing_before_the_face_is_kept_with_a_rim():
    with_rim = covered((20, 20, 16, 1.0), is_thing=True)
    assert with_rim[18:38, 18:38].min() > 0.6
    assert covered((20, 20, 16, 1.0))[18, 28] < 0.01


def test_a_cover_takes_away_from_a_mask_of_any_size():
    mask = np.ones((256, 256), np.float32)
    left = uncovered(mask, covered((20, 20, 16, 1.0)))
    assert left[100:130, 100:130].max() < 0.01
    assert left[:60].min() == 1
    assert uncovered(mask, None) is mask


def test_keep_is_read_as_people_type_it():
    assert parse_keep("") == ()
    assert parse_keep("glasses, mouth") == ("glasses", "mouth")
    with pytest.raises(OptionError, match=r"keep=.*nose.*glasses, mouth"):
        parse_keep("nose")


def test_a_model_without_a_parser_says_so_only_where_one_is_needed(
    swapper, tiny_swapper, astronaut
):
    face = swapper.detect(astronaut)[0]
    embedding = np.full(512, 512**-0.5, np.float32)
    plan = SwapPlan((face,), {0: Identity(embedding)})
    assert tiny_swapper.render([astronaut], [plan], SwapOptions())[0].swapped == (0,)
    with pytest.raises(OptionError, match="keep='mouth' needs a face parser"):
        tiny_swapper.render([astronaut], [plan], SwapOptions(keep=("mouth",)))


@pytest.mark.parametrize("light", [1.0, 0.25])
def test_a_face_that_nothing_covers_gets_no_hole(swapper, grace_hopper, light: float):
    photo = (grace_hopper * light).astype(np.uint8)
    face = align_face(photo, swapper.detect(photo)[0], "simswap_frontal", 128)
    (cover,) = find_covers(swapper.running.parser, [face], SwapOptions())
    hull = cv2.convexHull(np.float32(face.landmarks))
    inner = cv2.fillConvexPoly(np.zeros((128, 128), np.uint8), np.int32(hull), 1)
    inner = cv2.dilate(inner, np.ones((17, 17), np.uint8))  # brows, eyes, nose, mouth, cheeks
    assert cv2.resize(cover, (128, 128))[inner > 0].max() < 0.02


def test_the_mouth_stays_where_it_is_kept(swapper, astronaut):
    face = align_face(astronaut, swapper.detect(astronaut)[0], "simswap_frontal", 128)
    column, row = np.round(face.landmarks[3:].mean(0) / 2).astype(int)  # of the parser's map
    for keep, is_kept in (((), False), (("mouth",), True)):
        (cover,) = find_covers(swapper.running.parser, [face], SwapOptions(keep=keep))
        assert (cover[row, column] > 0.9) == is_kept


def test_a_mask_before_the_face_stays_pixel_for_pixel(swapper, astronaut, identity):
    face = swapper.detect(astronaut)[0]
    to_photo = geometry.invert(
        geometry.frame_to_crop_transform(face.landmarks, "simswap_frontal", 1)
    )
    outline = [(0.24, 0.62), (0.5, 0.57), (0.76, 0.62), (0.72, 0.88), (0.5, 1.0), (0.28, 0.88)]
    points = np.int32(geometry.apply(to_photo, np.array(outline)))
    shape = cv2.fillPoly(np.zeros(astronaut.shape[:2], np.uint8), [points], 1)
    covered = astronaut.copy()
    covered[shape > 0] = (160, 195, 215)
    covered = cv2.GaussianBlur(covered, (0, 0), 0.7)
    result = swapper.swap_image(covered, identity).image
    unchanged = (result == covered).all(-1)
    assert unchanged[shape > 0].mean() > 0.95
    painted = swapper.swap_image(covered, identity, SwapOptions(occlusion_mask=False)).image
    assert (painted == covered).all(-1)[shape > 0].mean() < 0.7


# Sunglasses


def glasses_on(lens: tuple[int, int], share: float = 1.0) -> float:
    """How surely lenses of that lightness (two stripes) and share are taken for sunglasses."""
    landmarks = geometry.TEMPLATES["simswap_frontal"] * 128
    crop = np.full((128, 128, 3), 160, np.uint8)
    region = eye_region(landmarks, 128) > 0
    stripes = np.where(np.arange(128) % 8 < 4, *lens).astype(np.uint8)
    crop[region] = np.broadcast_to(stripes[None, :, None], crop.shape)[region]
    seen = np.zeros((len(CLASSES), SIZE, SIZE), np.float32)
    near = cv2.dilate(eye_region(landmarks / 2, SIZE), np.ones((5, 5), np.uint8)) > 0
    seen[CLASSES.index("glasses")][near] = share
    seen[CLASSES.index("skin")][~near] = 1
    return covering._sunglasses(AlignedFace(crop, np.eye(2, 3), landmarks), crop, seen)


def test_dark_even_glasses_over_both_eyes_are_sunglasses():
    assert glasses_on((30, 40)) == 1
    assert glasses_on((30, 40), share=0.5) == 0  # the parser is in doubt
    assert glasses_on((120, 130)) == 0  # clear
    assert glasses_on((10, 110)) == 0  # an eye shows


def test_of_lenses_between_both_it_is_told_steadily():
    sure = [glasses_on((light, light + 10)) for light in range(60, 95)]
    assert sure == sorted(sure, reverse=True)
    assert (sure[0], sure[-1]) == (1, 0)
    assert max(-np.diff(sure)) < 0.2


@pytest.mark.parametrize("sure", [0.0, 0.4, 1.0])
def test_sunglasses_stay_the_targets_as_a_thing_before_the_face(monkeypatch, sure):
    monkeypatch.setattr(covering, "_sunglasses", lambda *given: sure)
    seen = torch.zeros(1, len(CLASSES), SIZE, SIZE)
    seen[0, CLASSES.index("glasses"), 20:30] = 1
    face = AlignedFace(np.zeros((128, 128, 3), np.uint8), np.eye(2, 3), np.zeros((5, 2)))
    (cover,) = find_covers(FixedParser(seen), [face], SwapOptions())
    assert cover[22:28] == pytest.approx(sure, abs=0.01)
    (cover,) = find_covers(FixedParser(seen), [face], SwapOptions(occlusion_mask=False))
    assert cover is None
