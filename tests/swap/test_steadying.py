import numpy as np
import pytest

from simswap.faces.steadying import Link
from simswap.swap.selection import SwapPlan
from simswap.swap.steadying import PlannedFaces, steadied_plan
from simswap.swap.stream import StreamOptions, frames_around
from simswap.types import Face, Identity

FACE = Face(np.array([0, 0, 40, 40], np.float32), np.zeros((5, 2), np.float32), 0.9)
STILL = Link(0, np.eye(2, 3))


def row_of(embeddings: np.ndarray, covers: list[float]) -> list[PlannedFaces]:
    """One face that stands still, covered evenly."""
    return [
        PlannedFaces(
            (FACE,),
            (STILL if i else None,),
            SwapPlan((FACE,), {0: Identity(one)}, covers={0: np.full((4, 4), cover, np.float32)}),
        )
        for i, (one, cover) in enumerate(zip(embeddings, covers, strict=True))
    ]


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 0.02, (5, 512))
    return (np.eye(512)[0] + noise).astype(np.float32)


def test_the_identity_that_a_face_gets_flickers_less_and_keeps_its_length(embeddings):
    plan = steadied_plan(row_of(embeddings, [0.0] * 5), 2)
    mean, wanted = plan.identities[0].embedding, np.eye(512)[0]
    lengths = np.linalg.norm(embeddings, axis=1)
    assert np.linalg.norm(mean) == pytest.approx(lengths.mean(), rel=0.02)
    assert mean[0] / np.linalg.norm(mean) > (embeddings[:, 0] / lengths).max()
    assert np.linalg.norm(mean - wanted) < 0.8 * np.linalg.norm(embeddings[2] - wanted)


@pytest.mark.parametrize(
    ("covers", "kept"),
    [([0, 0, 1, 0, 0], 0), ([1, 1, 0, 1, 1], 1), ([0, 0, 1, 1, 1], 1), ([1, 1, 0, 0, 0], 0)],
    ids=["pops up", "is missing", "comes", "goes"],
)
def test_what_covers_a_face_in_one_frame_only_does_not_count_and_an_edge_stays(
    embeddings, covers, kept
):
    plan = steadied_plan(row_of(embeddings, covers), 2)
    assert (plan.covers[0] == kept).all()


def test_an_identity_that_is_the_same_in_all_frames_stays_the_same_to_the_bit(embeddings):
    row = row_of(embeddings[:1].repeat(5, axis=0), [0.0] * 5)
    same = row[0].plan.identities[0]
    for one in row:
        one.plan.identities[0] = same
    assert steadied_plan(row, 2).identities[0] is same


def test_few_frames_are_held_however_many_there_are(swapper, identity):
    read = 0

    def frames():
        nonlocal read
        for _ in range(60):
            read += 1
            yield np.full((64, 64, 3), 128, np.uint8)

    stream = StreamOptions(detect_every=3, steady=True)
    given = swapper.swap_frames(frames(), identity, stream=stream)
    ahead = [read - number for number, _ in enumerate(given)]
    assert len(ahead) == 60
    assert max(ahead) <= frames_around(3, steady=True) + 2 * 3
