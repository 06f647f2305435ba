"""Which face of a frame gets which identity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from simswap.errors import NoFaceFoundError, OptionError
from simswap.faces.looks import SAME_PERSON_COSINE
from simswap.models.facial_hair import FacialHair
from simswap.models.identity import push_embeddings_apart
from simswap.types import Assignment, Face, Identity, Source, SwapOptions

# Faces of one frame that are swapped, or searched for a watermark, at most: each takes some 0.1 s.
MAX_FACES = 64


@dataclass(frozen=True, eq=False)
class SwapPlan:
    """What to do with one frame: its faces, the identity each gets (by face number), notices.

    covers: what of each face that gets one stays the target's, by face number, see
    covering.find_covers; None: it is still to be found.
    """

    faces: tuple[Face, ...]
    identities: dict[int, Identity]
    notices: tuple[str, ...] = ()
    covers: dict[int, np.ndarray | None] | None = None


@dataclass(frozen=True, eq=False)
class Cast:
    """Who becomes whom, in a video or stream: the identity that each person gets, by track number.

    People who are not in it stay as they are.
    """

    identities: Mapping[int, Identity]

    def of_faces(self, faces: Sequence[Face]) -> dict[int, Identity]:
        """The identity of each face that gets one, by face number."""
        return {
            i: self.identities[face.track]
            for i, face in enumerate(faces)
            if face.track in self.identities
        }


def needs_tracks(source: Source | Cast, options: SwapOptions) -> bool:
    """Whether people must be told apart in a video to know who is swapped."""
    return not isinstance(source, Identity) or options.faces != "all"


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


def no_face(called: str, photo: np.ndarray, options: SwapOptions) -> NoFaceFoundError:
    """The error for a photo ([H, W, 3]) that shows no face."""
    height, width = photo.shape[:2]
    return NoFaceFoundError(
        f"{called} shows no face ({width}x{height} pixels, detection threshold "
        f"{options.min_score:.2f}). Try a larger, sharper, front-facing photo of a whole head."
    )


def match_people(
    embeddings: np.ndarray, numbers: Sequence[int], assignments: Sequence[Assignment]
) -> tuple[dict[int, int], tuple[str, ...]]:
    """Which assignment each face gets: that of its number, or of its reference person.

    embeddings: [N, 512] unit norm, one per face; numbers: of these. Numbers go first. Of references
    the best pair is first; one goes to one face; pairs below SAME_PERSON_COSINE are left alone.
    Returns the assignment's index by face number, and a notice for each reference not found.
    """
    found = {one.number: i for i, one in enumerate(assignments) if one.number in numbers}
    sought = [i for i, one in enumerate(assignments) if one.reference is not None]
    if not sought:
        return found, ()
    references = np.stack([assignments[i].reference.embedding for i in sought])
    cosines = embeddings @ references.T  # [N, references]
    for pair in np.argsort(-cosines, axis=None, kind="stable"):
        row, reference = (int(i) for i in np.unravel_index(pair, cosines.shape))
        if cosines[row, reference] < SAME_PERSON_COSINE:
            break
        if numbers[row] not in found and sought[reference] not in found.values():
            found[numbers[row]] = sought[reference]
    nearest = cosines.max(axis=0, initial=-1)
    return found, tuple(
        not_found(sought[i], float(nearest[i]))
        for i in range(len(sought))
        if sought[i] not in found.values()
    )


def not_found(assignment: int, nearest: float) -> str:
    """The notice on a reference person who was not found.

    assignment: its index; nearest: cosine to whoever resembles the person most.
    """
    return (
        f"No face for reference person {assignment + 1}: the nearest has a similarity of "
        f"{nearest:.2f}; {SAME_PERSON_COSINE} is needed, and a face serves one reference only."
    )


def for_target(
    identity: Identity,
    target: np.ndarray,
    guidance: float,
    likeness: float = 1.0,
    hair: FacialHair | None = None,
) -> Identity:
    """The identity as a face gets it: with its facial hair, and moved away from its own.

    target: [512] unit norm, of the face in the frame. guidance: see push_embeddings_apart; 0 for a
    generator that was trained without; it takes unit norm only. With guidance the result's
    embedding is of any length. likeness: more than 1 is not the identity's matter, see
    SwapOptions.once_more. hair: None leaves the source's.
    """
    likeness = min(likeness, 1.0)
    if not guidance and likeness == 1 and hair is None:
        return identity
    own, other = torch.from_numpy(identity.embedding), torch.from_numpy(target)
    if hair is not None:
        with torch.inference_mode():
            own = hair(own[None], other[None])[0]
    if guidance:
        pushed = push_embeddings_apart(own, other, guidance, likeness)
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
    if len(embeddings) == 2 and cosines.max() < SAME_PERSON_COSINE:
        return [
            "The two source photos look like two people "
            f"(similarity {cosines.max():.2f}); the identity is a mixture."
        ]
    return [
        f"Source photo {number} looks like another person than the rest "
        f"(similarity {nearest:.2f}); the identity is a mixture."
        for number, nearest in enumerate(cosines.max(1), start=1)
        if nearest < SAME_PERSON_COSINE
    ]
