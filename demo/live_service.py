"""Opens visitors' live sessions, and runs their frames through the one swap path."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import spaces  # before torch, which it prepares for a GPU that is lent call by call
from spaces.config import Config

from demo import service
from demo.live_sessions import LiveSession, LiveSessions
from simswap import Identity, SwapOptions, SwapResult
from simswap.frame_stream import StreamOptions
from simswap.provenance import synthetic_xmp

# Detecting costs more than all else in a frame of 640 x 480; faces are followed in between.
LIVE_STREAM = StreamOptions(detect_every=6, live=True)
IS_GPU_LENT = Config.zero_gpu

sessions = LiveSessions()


def open_session(page: str, sources: list[str], faces: str) -> LiveSession:
    """Give a page a session of its own with the person that its uploaded photos show.

    page: Gradio's hash of the visitor's page; faces: 'all' or 'largest'.
    """
    with service.readable_errors():
        options = SwapOptions(faces=faces)
        photos = service.read_sources(sources)
    identity = find_identity([photo.image for photo in photos])

    def swap(frames: Iterator[np.ndarray]) -> Iterator[SwapResult]:
        if IS_GPU_LENT:  # to one call at a time, in a process of its own
            return (swap_on_lent_gpu(frame, identity, options) for frame in frames)
        return service.swapper.swap_frames(
            frames, identity, options, batch_size=1, stream=LIVE_STREAM
        )

    session = LiveSession(swap, synthetic_xmp(service.swapper.name))
    with service.readable_errors():
        sessions.open(page, session)
    return session


@spaces.GPU(duration=15)
def find_identity(photos: list[np.ndarray]) -> Identity:
    """The person that photos ([H, W, 3] uint8 RGB) show."""
    with service.readable_errors():
        return service.swapper.identity_of(photos)


@spaces.GPU(duration=10)
def swap_on_lent_gpu(frame: np.ndarray, identity: Identity, options: SwapOptions) -> SwapResult:
    """Swap one camera frame ([H, W, 3] uint8 RGB)."""
    return next(service.swapper.swap_frames([frame], identity, options, batch_size=1))
