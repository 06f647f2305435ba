import numpy as np
import pytest

from simswap import geometry


def a_transform(degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.deg2rad(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return np.array([[cos, -sin, shift[0]], [sin, cos, shift[1]]])


TRANSFORMS = [
    a_transform(0, 1, (0, 0)),
    a_transform(23, 0.4, (-70, 12)),
    a_transform(90, 2.5, (31, 5)),
    a_transform(-178, 1.1, (200, 300)),
]
POINTS = np.random.default_rng(0).uniform(0, 640, (5, 2))


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_similarity_transform_recovers_the_one_applied(transform):
    found = geometry.similarity_transform(POINTS, geometry.apply(transform, POINTS))
    np.testing.assert_allclose(found, transform, atol=1e-9)


def test_similarity_transform_never_mirrors():
    mirrored = POINTS * [-1, 1]
    linear = geometry.similarity_transform(POINTS, mirrored)[:, :2]
    assert np.linalg.det(linear) > 0


def test_similarity_transform_refuses_coinciding_points():
    with pytest.raises(ValueError, match="coincide"):
        geometry.similarity_transform(np.ones((5, 2)), POINTS)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_inverse_warp_returns_the_point(transform):
    there = geometry.apply(transform, POINTS)
    np.testing.assert_allclose(geometry.apply(geometry.invert(transform), there), POINTS)


def test_compose_applies_the_first_then_the_second():
    first, then = TRANSFORMS[1], TRANSFORMS[2]
    expected = geometry.apply(then, geometry.apply(first, POINTS))
    np.testing.assert_allclose(geometry.apply(geometry.compose(first, then), POINTS), expected)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_scale_is_the_ratio_of_lengths(transform):
    length = np.linalg.norm(POINTS[0] - POINTS[1])
    moved = geometry.apply(transform, POINTS[:2])
    assert geometry.scale_of(transform) == pytest.approx(
        np.linalg.norm(moved[0] - moved[1]) / length
    )


@pytest.mark.parametrize("template", geometry.TEMPLATES)
def test_landmarks_that_fit_a_template_land_on_it(template):
    landmarks = geometry.apply(TRANSFORMS[1], geometry.TEMPLATES[template] * 300)
    frame_to_crop = geometry.frame_to_crop_transform(landmarks, template, 128)
    landed = geometry.apply(frame_to_crop, landmarks)
    np.testing.assert_allclose(landed, geometry.TEMPLATES[template] * 128, atol=1e-9)


def test_crop_of_an_axis_aligned_square_is_that_square():
    frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    crop = geometry.warp_to_crop(frame, a_transform(0, 1, (-40, -20)), 32)
    np.testing.assert_array_equal(crop, frame[20:52, 40:72])


@pytest.mark.parametrize("scale", [2.0, 1.0, 0.3, 0.11])
@pytest.mark.parametrize("degrees", [0, 35, 90])
def test_a_dot_lands_where_the_transform_says(scale, degrees):
    size, dot = 64, np.array([207.0, 151.0])
    rotation = a_transform(degrees, scale, (0, 0))
    frame_to_crop = rotation.copy()
    frame_to_crop[:, 2] = np.array([30.0, 34.0]) - geometry.apply(rotation, dot)
    y, x = np.mgrid[:300, :400]
    blob = 250 * np.exp(-((x - dot[0]) ** 2 + (y - dot[1]) ** 2) * scale**2 / 18)
    frame = np.repeat(blob[..., None], 3, axis=2).astype(np.uint8)
    crop = geometry.warp_to_crop(frame, frame_to_crop, size)[..., 0].astype(float)
    crop_y, crop_x = np.mgrid[:size, :size]
    centre = np.array([(crop * crop_x).sum(), (crop * crop_y).sum()]) / crop.sum()
    np.testing.assert_allclose(centre, [30, 34], atol=0.1)


def test_a_much_smaller_crop_averages_instead_of_aliasing():
    frame = np.zeros((256, 256, 3), np.uint8)
    frame[::2, ::2] = frame[1::2, 1::2] = 200  # a one-pixel checkerboard, 100 on average
    crop = geometry.warp_to_crop(frame, a_transform(0, 0.25, (0, 0)), 64)
    assert np.abs(crop.astype(int) - 100).max() <= 1


def test_a_crop_past_the_frame_repeats_its_border():
    frame = np.full((40, 40, 3), 9, np.uint8)
    frame[:, 0] = 50
    crop = geometry.warp_to_crop(frame, a_transform(0, 1, (16, 0)), 32)
    assert (crop[:, :17] == 50).all()


def test_a_crop_far_outside_the_frame_is_black():
    frame = np.full((40, 40, 3), 9, np.uint8)
    assert not geometry.warp_to_crop(frame, a_transform(0, 1, (500, 0)), 32).any()


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_crop_region_holds_the_whole_crop_inside_the_frame(transform):
    size, shape = 64, (480, 640, 3)
    x0, y0, x1, y1 = geometry.crop_region(geometry.invert(transform), size, shape)
    assert 0 <= x0 <= x1 <= 640
    assert 0 <= y0 <= y1 <= 480
    y, x = np.mgrid[:480, :640]
    landed = geometry.apply(transform, np.stack([x, y], axis=-1).astype(float))
    inside = ((landed >= 0) & (landed <= size - 1)).all(axis=-1)
    inside[y0:y1, x0:x1] = False
    assert not inside.any()


def test_a_square_of_whole_pixels_is_cut_as_it_is():
    frame = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    square = geometry.cut_square(frame, np.array([40 + 15.5, 20 + 15.5]), 32, 32)
    np.testing.assert_array_equal(square, frame[20:52, 40:72])


@pytest.mark.parametrize("side", [0.0, 1e4, 1e9, 1e30])
def test_a_square_of_any_side_is_cut_without_being_made_first(side):
    frame = np.full((60, 80, 3), 200, np.uint8)
    square = geometry.cut_square(frame, np.array([40.0, 30.0]), side, 16)
    assert square.shape == (16, 16, 3)
    assert np.ptp(square) == 0
