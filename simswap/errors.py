"""Errors a caller can act on: each message names the offending value and the remedy."""


class SimSwapError(Exception):
    """Base of every error that is the caller's to fix; its message is fit for a person to read."""


class NoFaceFoundError(SimSwapError):
    """A photo in which a face was needed shows none (or none that is large or clear enough)."""


class MediaError(SimSwapError):
    """A photo or video cannot be read or written: missing, corrupt, too large, or of odd kind."""


class CostlyVideoError(MediaError):
    """A video takes more time or memory to be read than the limits let it."""


class CrowdedError(MediaError):
    """Others take the memory, or the processes, that reading a file takes; later there is room."""

    def __init__(
        self,
        said: str = "Other files take the memory for reading this one just now. Try again in a "
        "minute.",
    ) -> None:
        super().__init__(said)


class ModelError(SimSwapError):
    """A model bundle is missing, damaged, or of an architecture this version does not know."""


class OptionError(SimSwapError):
    """An option has a value outside its range, or options contradict each other."""


class ClusterError(SimSwapError):
    """A Ray cluster is missing, does not answer, or has lost a task."""


class JobCancelledError(SimSwapError):
    """The caller's `on_progress` raised it to give a video up; nothing is left behind."""


class SigningError(SimSwapError):
    """Nothing can be signed: no fit certificate and key, or they are refused. Swaps go on."""


class RefusedFaceError(SimSwapError):
    """A source shows a face that the operator has excluded."""


class RefusedPictureError(SimSwapError):
    """A picture is of a kind into which the demo puts no faces."""
