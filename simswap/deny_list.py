"""Faces that must never be swapped in: the operator's folder of people who opted out.

SIMSWAP_DENY_LIST names the folder: one photo or more of each person, of the kinds that are read as
sources. A refusal tells nothing of who is listed, nor how near a face came.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from simswap.errors import NoFaceFoundError, OptionError, RefusedFaceError
from simswap.media.photos import read_photo
from simswap.types import Identity

VARIABLE = "SIMSWAP_DENY_LIST"

# Cosine from which a face is taken for a listed one. Measured by train.checks.deny_list on 857
# photos of 300 people: this refuses 95.3 % of the photos of somebody listed with one other photo,
# and 0.050 % of others' for each listed photo (0.30: 97.2 %, 0.217 %; 0.40: 92.7 %, 0.008 %).
SAME_FACE_COSINE = 0.35
Embed = Callable[[np.ndarray], np.ndarray]


class DenyList:
    """Embeddings of listed faces; nothing else of their photos is kept."""

    def __init__(self, embeddings: Sequence[np.ndarray]) -> None:
        """embeddings: [512] float32 unit norm, one for each of at least one photo."""
        self._embeddings = np.array(embeddings, np.float32)  # [N, 512]

    @classmethod
    def of_folder(cls, folder: Path, embed: Embed) -> DenyList:
        """Read the photos of a folder.

        embed: from a photo ([H, W, 3] uint8 RGB) to the [512] embedding of its largest face.
        Raises OptionError if the folder or a photo in it is of no use: a list with gaps would let
        somebody through who is on it.
        """
        try:
            files = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except OSError as error:
            raise OptionError(f"The deny list is no folder to read ({error.strerror}).") from error
        if not files:
            raise OptionError("The deny list's folder holds no photo. Add some, or unset it.")
        try:
            return cls([embed(read_photo(path).image) for path in files])
        except NoFaceFoundError as error:
            raise OptionError(f"A photo of the deny list is of no use: {error}") from error

    def check(self, identities: Iterable[Identity]) -> None:
        """Raise RefusedFaceError if an identity that would be swapped in is a listed face's."""
        for identity in identities:
            nearest = (self._embeddings @ identity.embedding).max()
            if not nearest < SAME_FACE_COSINE:  # NaN is not, and refused
                raise RefusedFaceError(
                    "The operator of this installation does not allow this face to be swapped in. "
                    "Use a photo of somebody else."
                )


def configured_folder() -> Path | None:
    """The folder that SIMSWAP_DENY_LIST names, if it names one."""
    return Path(os.environ[VARIABLE]) if os.environ.get(VARIABLE) else None
