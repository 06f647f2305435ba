"""What can go wrong in training that is not a bug: each message names the value and the remedy."""

from __future__ import annotations

from simswap.errors import SimSwapError


class TrainingError(SimSwapError):
    """A configuration, data set, checkpoint or repository that training cannot go on with."""


class CorruptPhotoError(TrainingError):
    """One row's photo cannot be used: it is skipped and counted, never fatal by itself."""
