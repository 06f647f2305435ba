import threading

import numpy as np
import pytest

from simswap import Assignment, FaceSwapper, NoFaceFoundError, OptionError, SwapOptions
from simswap.swap.selection import SwapPlan

BLANK = np.full((240, 320, 3), 127, np.uint8)


@pytest.fixture(scope="module")
def two_faces(astronaut) -> np.ndarray:
    """The astronaut twice: as she is, and half as large."""
    pair = np.full((512, 768, 3), 127, np.uint8)
    pair[:, :512] = astronaut
    pair[:256, 512:] = astronaut[::2, ::2]
    return pair


def test_the_bundled_model_loads_by_default(swapper):
    loaded = FaceSwapper.from_pretrained(device="cpu")
    assert loaded.name == swapper.name
    assert loaded.device.type == "cpu"


def test_detect_puts_the_largest_face_first(swapper, two_faces):
    faces = swapper.detect(two_faces)
    assert len(faces) == 2
    assert faces[0].box[0] < 512 <= faces[1].box[0]


def test_swap_changes_the_face_and_nothing_else(swapper, astronaut, identity):
    result = swapper.swap_image(astronaut, identity)
    assert result.swapped == (0,)
    x0, y0, x1, y1 = result.faces[0].box.astype(int)
    changed = (result.image != astronaut).any(axis=-1)
    assert changed[y0:y1, x0:x1].mean() > 0.7
    side = max(x1 - x0, y1 - y0)
    changed[max(y0 - side, 0) : y1 + side, max(x0 - side, 0) : x1 + side] = False
    assert not changed.any()


def test_swap_leaves_the_photo_handed_in_alone(swapper, astronaut, identity):
    before = astronaut.copy()
    result = swapper.swap_image(astronaut, identity)
    np.testing.assert_array_equal(astronaut, before)
    assert result.image is not astronaut


def test_the_image_path_equals_the_frames_path(swapper, astronaut, identity):
    image = swapper.swap_image(astronaut, identity).image
    (frame,) = swapper.swap_frames([astronaut], identity)
    np.testing.assert_array_equal(frame.image, image)


@pytest.mark.slow
def test_a_face_looks_more_like_the_source_the_more_likeness_is_asked_for(
    swapper, astronaut, grace_hopper
):
    source = swapper.identity_of(grace_hopper)
    results = [
        swapper.swap_image(astronaut, source, SwapOptions(likeness=likeness)).image
        for likeness in (0.0, 0.5, 1.0, 1.25, 1.5)
    ]
    cosines = [float(swapper.identity_of(one).embedding @ source.embedding) for one in results]
    assert cosines == sorted(cosines)
    assert cosines[0] < 0.3 < cosines[2]


def test_a_batch_of_frames_equals_single_frames(swapper, two_faces, identity):
    frames = [two_faces, BLANK, np.ascontiguousarray(two_faces[::-1]), two_faces, two_faces]
    batched = list(swapper.swap_frames(frames, identity, batch_size=4))
    single = list(swapper.swap_frames(frames, identity, batch_size=1))
    assert len(batched) == len(frames)
    for one, other in zip(batched, single, strict=True):
        assert one.swapped == other.swapped
        # Kernels differ between batch sizes in the last bit, which may tip a rounding.
        assert np.abs(one.image.astype(int) - other.image).max() <= 1


def test_a_mirrored_view_works_like_its_copy(swapper, astronaut, identity):
    view = astronaut[:, ::-1]
    np.testing.assert_array_equal(
        swapper.swap_image(view, identity).image, swapper.swap_image(view.copy(), identity).image
    )


def test_a_frame_without_a_face_passes_through(swapper, identity):
    (result,) = swapper.swap_frames([BLANK], identity)
    np.testing.assert_array_equal(result.image, BLANK)
    assert result.faces == result.swapped == ()


def test_frames_are_read_a_batch_at_a_time(swapper, identity):
    taken = []
    frames = (taken.append(number) or BLANK for number in range(100))
    next(swapper.swap_frames(frames, identity, batch_size=3))
    assert taken == [0, 1, 2]


def test_only_the_chosen_face_is_swapped(swapper, two_faces, identity):
    largest = swapper.swap_image(two_faces, identity, SwapOptions(faces="largest"))
    second = swapper.swap_image(two_faces, identity, SwapOptions(faces=(1,)))
    assert (largest.swapped, second.swapped) == ((0,), (1,))
    np.testing.assert_array_equal(largest.image[:, 560:], two_faces[:, 560:])
    np.testing.assert_array_equal(second.image[:, :500], two_faces[:, :500])


def test_an_assignment_swaps_the_face_of_its_reference(swapper, astronaut, identity):
    reference = swapper.identity_of(astronaut)
    result = swapper.swap_image(astronaut, [Assignment(identity, reference)])
    np.testing.assert_array_equal(result.image, swapper.swap_image(astronaut, identity).image)


def test_a_reference_who_is_not_there_is_an_error(swapper, astronaut, identity):
    with pytest.raises(NoFaceFoundError, match=r"No chosen face .* reference person 1"):
        swapper.swap_image(astronaut, [Assignment(identity, identity)])


def test_identity_of_several_photos_is_their_mean(swapper, astronaut):
    darker = (astronaut * 0.6).astype(np.uint8)
    one, other = swapper.identity_of(astronaut), swapper.identity_of(darker)
    both = swapper.identity_of([astronaut, darker])
    mean = one.embedding + other.embedding
    np.testing.assert_allclose(both.embedding, mean / np.linalg.norm(mean), atol=1e-5)
    assert (both.num_photos, both.notices) == (2, ())


def test_a_source_photo_of_several_faces_uses_the_largest_and_says_so(
    swapper, astronaut, two_faces
):
    found = swapper.identity_of(two_faces)
    assert found.notices == ("The source photo shows 2 faces; the largest is used.",)
    assert found.embedding @ swapper.identity_of(astronaut).embedding > 0.95


def test_a_source_photo_without_a_face_says_its_size_and_number(swapper, astronaut):
    with pytest.raises(NoFaceFoundError, match=r"Source photo 2 .*320x240.*0\.70.*Try"):
        swapper.identity_of([astronaut, BLANK])


def test_a_target_photo_without_a_face_says_its_size(swapper, identity):
    with pytest.raises(NoFaceFoundError, match=r"target photo .*320x240.*Try"):
        swapper.swap_image(BLANK, identity)


def test_a_face_number_the_photo_lacks_is_an_error(swapper, astronaut, identity):
    with pytest.raises(OptionError, match="no face number 4: the photo shows 1"):
        swapper.swap_image(astronaut, identity, SwapOptions(faces=(4,)))


@pytest.mark.parametrize("side", [1, 16])
def test_a_tiny_photo_shows_no_face(swapper, identity, side):
    with pytest.raises(NoFaceFoundError, match=f"{side}x{side}"):
        swapper.swap_image(np.zeros((side, side, 3), np.uint8), identity)


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((64, 64, 3), np.float32),
        np.zeros((64, 64), np.uint8),
        np.zeros((64, 64, 4), np.uint8),
        np.zeros((0, 64, 3), np.uint8),
        "photo.jpg",
    ],
)
def test_a_photo_that_is_not_uint8_rgb_is_refused(tiny_swapper, identity, photo):
    for call in (
        lambda: tiny_swapper.detect(photo),
        lambda: tiny_swapper.identity_of([photo]),
        lambda: tiny_swapper.swap_image(photo, identity),
        lambda: list(tiny_swapper.swap_frames([photo], identity)),
    ):
        with pytest.raises(ValueError, match="A frame must be"):
            call()


@pytest.mark.parametrize("source", [None, [], "anna", [None], BLANK])
def test_a_source_that_is_no_identity_is_refused_at_the_call(tiny_swapper, source):
    with pytest.raises(OptionError, match="source must be an Identity"):
        tiny_swapper.swap_frames([BLANK], source)


def test_identity_of_no_photo_is_refused(tiny_swapper):
    with pytest.raises(OptionError, match="No source photo"):
        tiny_swapper.identity_of([])


@pytest.mark.parametrize("device", ["cuda:99", "gpu", "meta:x"])
def test_a_device_that_is_not_there_is_refused(tiny_folder, device):
    with pytest.raises(OptionError, match=f"device='{device}'"):
        FaceSwapper.from_pretrained(tiny_folder, device=device)


def test_photos_of_two_people_as_one_source_get_one_notice(swapper, astronaut, grace_hopper):
    notices = swapper.identity_of([astronaut, grace_hopper]).notices
    assert len(notices) == 1
    assert "The two source photos look like two people" in notices[0]


def test_of_three_source_photos_the_one_of_somebody_else_is_named(swapper, astronaut, grace_hopper):
    (notice,) = swapper.identity_of([astronaut, grace_hopper, astronaut[:, ::-1]]).notices
    assert "Source photo 2 looks like another person" in notice


def test_a_plan_with_two_identities_gives_each_face_its_own(swapper, two_faces, identity):
    other = swapper.identity_of(two_faces)
    faces = tuple(swapper.detect(two_faces))
    options = SwapOptions()

    def render(identities: dict) -> np.ndarray:
        return swapper.render([two_faces], [SwapPlan(faces, identities)], options)[0].image

    both = render({0: identity, 1: other})
    apart = render({0: identity}).astype(int) + render({1: other}) - two_faces
    assert np.abs(both - apart).max() <= 1


@pytest.mark.slow
def test_threads_that_share_a_swapper_get_what_one_alone_gets(swapper, two_faces, identity):
    expected = swapper.swap_image(two_faces, identity).image
    found = []

    def work() -> None:
        found.append(swapper.swap_image(two_faces, identity).image)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert all(np.abs(image.astype(int) - expected).max() <= 1 for image in found)


def test_warm_up_needs_no_face_and_changes_no_result(swapper, astronaut, identity):
    before = swapper.swap_image(astronaut, identity).image
    swapper.warm_up()
    np.testing.assert_array_equal(swapper.swap_image(astronaut, identity).image, before)


def test_a_plan_asks_for_more_than_the_source_where_the_model_says_so(swapper, astronaut, identity):
    faces = swapper.detect(astronaut)
    plan = swapper.plan(astronaut, faces, identity, SwapOptions())
    of_target = swapper.embed(astronaut, faces)[0]
    assert swapper.generator.config.identity_guidance > 0
    assert plan.identities[0].embedding @ of_target < identity.embedding @ of_target
