"""The operator's list of faces that are never swapped in."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from simswap import Assignment, FaceSwapper, Identity, MediaError, OptionError, RefusedFaceError
from simswap.__main__ import main
from simswap.deny_list import SAME_FACE_COSINE, VARIABLE, DenyList
from simswap.weights.bundle import load_bundle
from tests.support.examples import EXAMPLES
from tests.support.media.face_videos import SHORT_SEGMENTS

HOPPER, ASTRONAUT = EXAMPLES / "grace_hopper.jpg", EXAMPLES / "astronaut.jpg"


def list_photo(folder: Path, photo: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    Image.fromarray(photo).save(folder / "Grace Hopper.png")
    return folder


@pytest.fixture(scope="module")
def listed(grace_hopper, tmp_path_factory) -> Path:
    """A folder that lists the admiral, by her photo as another camera might have taken it."""
    other = cv2.resize(grace_hopper[:, ::-1], None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    return list_photo(tmp_path_factory.mktemp("deny") / "list", other)


@pytest.fixture(scope="module")
def guarded(listed) -> FaceSwapper:
    return FaceSwapper(load_bundle(), device="cpu", deny_list=listed)


@pytest.fixture(scope="module")
def admiral(swapper, grace_hopper) -> Identity:
    """Her identity, had without the list."""
    return swapper.identity_of(grace_hopper)


def test_a_listed_face_gives_no_identity(guarded, grace_hopper):
    with pytest.raises(RefusedFaceError):
        guarded.identity_of(grace_hopper)


def test_others_give_theirs(guarded, swapper, astronaut):
    allowed, free = guarded.identity_of(astronaut), swapper.identity_of(astronaut)
    assert np.array_equal(allowed.embedding, free.embedding)


def test_a_listed_identity_from_elsewhere_is_refused_in_photos(guarded, admiral, astronaut):
    with pytest.raises(RefusedFaceError):
        guarded.swap_image(astronaut, admiral)


def test_and_in_streams_of_frames(guarded, admiral, astronaut):
    with pytest.raises(RefusedFaceError):
        list(guarded.swap_frames(iter([astronaut]), admiral))


def test_and_in_video_files_before_any_work(guarded, admiral, face_clip, tmp_path):
    with pytest.raises(RefusedFaceError):
        guarded.swap_video(face_clip, tmp_path / "out.mp4", admiral, video=SHORT_SEGMENTS)
    assert list(tmp_path.iterdir()) == []


def test_and_for_one_person_of_several(guarded, admiral, identity, astronaut):
    assignments = [Assignment(identity, identity), Assignment(admiral, identity)]
    with pytest.raises(RefusedFaceError):
        guarded.swap_image(astronaut, assignments)


def test_a_listed_face_may_be_replaced(guarded, admiral, identity, grace_hopper):
    result = guarded.swap_image(grace_hopper, [Assignment(identity, admiral)])
    assert result.swapped == (0,)


def test_a_refusal_does_not_tell_who_is_listed_or_how_near(guarded, grace_hopper):
    with pytest.raises(RefusedFaceError) as told:
        guarded.identity_of(grace_hopper)
    said = str(told.value)
    assert "Hopper" not in said
    assert not any(character.isdigit() for character in said)


@pytest.mark.parametrize(("cosine", "is_refused"), [(0.02, True), (-0.02, False)])
def test_the_threshold_decides(cosine, is_refused):
    first, second = np.eye(2, 512, dtype=np.float32)
    cosine += SAME_FACE_COSINE
    near = Identity(cosine * first + np.sqrt(1 - cosine**2) * second)
    if is_refused:
        with pytest.raises(RefusedFaceError):
            DenyList([first]).check([near])
    else:
        DenyList([first]).check([near])


def test_the_shell_obeys_the_operators_folder(listed, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(VARIABLE, str(listed))
    files = ["--target", str(ASTRONAUT), "--output", str(tmp_path / "out.png")]
    assert main(["image", "--source", str(HOPPER), *files]) == 1
    assert "does not allow this face" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["absent", "file.txt", "empty"])
def test_a_folder_of_no_use_ends_the_start(tmp_path, monkeypatch, name):
    (tmp_path / "file.txt").write_text("not a folder")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv(VARIABLE, str(tmp_path / name))
    with pytest.raises(OptionError, match="deny list"):
        FaceSwapper.from_pretrained(device="cpu")


def test_a_photo_without_a_face_ends_the_start(tmp_path):
    folder = list_photo(tmp_path / "list", np.full((200, 200, 3), 90, np.uint8))
    with pytest.raises(OptionError, match="A photo of the deny list is of no use"):
        FaceSwapper(load_bundle(), device="cpu", deny_list=folder)


def test_a_file_that_is_no_photo_ends_the_start(tmp_path):
    (tmp_path / "note.txt").write_text("Please add Anna.")
    with pytest.raises(MediaError, match=r"note\.txt is not a photo"):
        FaceSwapper(load_bundle(), device="cpu", deny_list=tmp_path)


@pytest.mark.slow
def test_the_threshold_is_as_good_as_it_is_said_to_be(swapper, shared_data):
    from train.checks.deny_list import embed_photos, rates

    embedded = embed_photos(swapper, shared_data / "eval", limit=100)
    recognised, mistaken = rates(*embedded, threshold=SAME_FACE_COSINE)
    assert recognised > 0.93
    assert mistaken < 0.002
