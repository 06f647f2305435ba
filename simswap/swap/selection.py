"""Which face of a frame gets which identity."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from simswap.errors import OptionError
from simswap.models.identity import push_embeddings_apart
from simswap.types import Assignment, Face, Identity, SwapOptions

# Cosine of two embeddings above which they are taken for one person. Measured with the bundled
# identity network on 857 LFW photos: 97.8 % of same-person pairs lie above it, 0.2 % of the others.
SAME_PERSON_COSINE = 0.3
# Faces of one frame that are swapped, or searched for a mark, at most: each takes some 0.1 s.
MAX_FACES = 64


@dataclass(frozen=True, eq=False)
class SwapPlan:
    """What to do with one frame: its faces, the identity each gets (by face number), notices."""

    faces: tuple[Face, ...]
    identities: dict[int, Identity]
    notices: tuple[str, ...] = ()


def choose_faces(faces: Sequence[Face], options: SwapOptions) -> tuple[int, ...]:
    """Indices of the faces that `options.faces` means, ascending; numbers not there are skipped.

    faces: a frame's detections, largest first. Of more than MAX_FACES the largest are taken.
    """
    if options.faces == "all":
        return tuple(range(min(len(faces), MAX_FACES)))
    if options.faces == "largest":
        return (0,) if faces else ()
    return tuple(sorted({index for index in options.faces if index < len(faces)}))[:MAX_FACES]


def left_out(faces: Sequence[Face], options: SwapOptions) -> tuple[str, ...]:
    """A notice where a frame has more faces to swap than are swapped."""
    if isinstance(options.faces, str):
        num_wanted = len(faces) if options.faces == "all" else 0
    else:
        num_wanted = len({index for index in options.faces if index < len(faces)})
    if num_wanted <= MAX_FACES:
        return ()
    return (f"Of {num_wanted} faces found the {MAX_FACES} largest are swapped.",)


def check_face_numbers(numbers: Sequence[int], num_faces: int) -> None:
    """Raise OptionError if there is no number, or one of a face that a photo does not have."""
    if not numbers:
        raise OptionError("faces=() picks no face. Use 'all', 'largest', or face numbers.")
    missing = [index for index in numbers if index >= num_faces]
    if missing:
        raise OptionError(
            f"There is no face number {missing[0]}: the photo shows {num_faces}, numbered from 0, "
            "largest first."
        )


def match_references(
    embeddings: np.ndarray, assignments: Sequence[Assignment]
) -> tuple[dict[int, Identity], tuple[str, ...]]:
    """Give each assignment's identity to the face that resembles its reference person most.

    embeddings: [N, 512] unit norm, one per face. Best pair first; a reference goes to one face
    and a face gets one identity; pairs below SAME_PERSON_COSINE are left alone.
    Returns the identity by face number, and a notice for each reference that was not found.
    """
    references = np.stack([assignment.reference.embedding for assignment in assignments])
    cosines = embeddings @ references.T  # [N, assignments]
    identities: dict[int, Identity] = {}
    matched: set[int] = set()
    for pair in np.argsort(-cosines, axis=None, kind="stable"):
        face, reference = (int(i) for i in np.unravel_index(pair, cosines.shape))
        if cosines[face, reference] < SAME_PERSON_COSINE:
            break
        if face not in identities and reference not in matched:
            identities[face] = assignments[reference].identity
            matched.add(reference)
    notices = tuple(
        f"No face for reference person {number + 1}: the nearest has a similarity of "
        f"{cosines[:, number].max(initial=-1):.2f}; {SAME_PERSON_COSINE} is needed, and a face "
        "serves one reference only."
        for number in range(len(assignments))
        if number not in matched
    )
    return identities, notices


def push_apart(
    identity: Identity, target: np.ndarray, guidance: float, likeness: float = 1.0
) -> Identity:
    """The identity moved away from the target face's own, see push_embeddings_apart.

    target: [512] unit norm, of the face in the frame. guidance: 0 for a generator that was trained
    without; it takes unit norm only. With guidance the result's embedding is of any length.
    """
    own, other = torch.from_numpy(identity.embedding), torch.from_numpy(target)
    if guidance:
        pushed = push_embeddings_apart(own, other, guidance, likeness)
    elif likeness == 1:
        return identity
    else:
        pushed = F.normalize(other + likeness * (own - other), dim=-1)
    return replace(identity, embedding=pushed.numpy())


def odd_ones_out(embeddings: np.ndarray) -> list[str]:
    """Notices on source photos whose person resembles nobody in the others.

    embeddings: [N, 512] unit norm, one per photo.
    """
    if len(embeddings) == 1:
        return []
    cosines = embeddings @ embeddings.T - 2 * np.eye(len(embeddings))
    return [
        f"Source photo {number} looks like another person than the rest "
        f"(similarity {nearest:.2f}); the identity is a mixture."
        for number, nearest in enumerate(cosines.max(1), start=1)
        if nearest < SAME_PERSON_COSINE
    ]
