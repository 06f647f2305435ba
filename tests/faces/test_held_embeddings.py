import numpy as np
import pytest

from simswap.faces.tracking import HeldEmbeddings
from simswap.types import Face
from tests.support.media.face_videos import face_frame

FRAME = np.zeros((64, 64, 3), np.uint8)


def face(left: float, top: float = 0.0) -> Face:
    """A face of 40 px a side."""
    box = np.array([left, top, left + 40, top + 40], np.float32)
    return Face(box, np.zeros((5, 2), np.float32), 0.9)


class Embedder:
    """Embeds a face as (number of the call, left edge), and counts its calls."""

    calls = 0

    def __call__(self, frame, faces):
        self.calls += 1
        return np.array([[self.calls, face.box[0]] for face in faces])


@pytest.mark.parametrize("every", [1, 2, 6])
def test_embeddings_are_taken_in_every_nth_frame(every):
    embed = Embedder()
    held = HeldEmbeddings(embed, every)
    taken = [held.of(FRAME, [face(3.0 * number)])[0, 0] for number in range(12)]
    assert taken == [1 + number // every for number in range(12)]


def test_each_face_keeps_its_own_when_their_order_changes():
    held = HeldEmbeddings(Embedder(), 9)
    held.of(FRAME, [face(0), face(100), face(200)])
    np.testing.assert_array_equal(held.of(FRAME, [face(202), face(2)])[:, 1], [200, 0])
    np.testing.assert_array_equal(held.of(FRAME, [face(3), face(203)])[:, 1], [0, 200])


@pytest.mark.parametrize(
    "faces",
    [[face(30)], [face(0), face(100)], [face(0), face(1)], [face(0, 30)]],
    ids=["jumped", "another came", "two where one was", "moved down"],
)
def test_a_face_that_was_not_there_before_is_looked_at(faces):
    embed = Embedder()
    held = HeldEmbeddings(embed, 9)
    held.of(FRAME, [face(0)])
    assert (held.of(FRAME, faces)[:, 0] == 2).all()
    assert embed.calls == 2


def test_a_live_stream_shows_whom_frames_swapped_one_by_one_show(swapper, astronaut, identity):
    frames = [face_frame(astronaut, number) for number in range(6)]
    by_itself = swapper.swap_frames(frames, identity)
    live = swapper.swap_live(frames, identity)
    for one, other in zip(by_itself, live, strict=True):
        assert other.swapped == (0,)
        seen, expected = (swapper.embed(r.image, r.faces)[0] for r in (other, one))
        assert seen @ expected > 0.8
