"""Opens visitors' live sessions, and runs their frames through the one swap path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import spaces  # before torch, which it prepares for a GPU that is lent call by call
from spaces.config import Config

from simswap import Identity, OptionError, SwapOptions, SwapResult
from simswap.demo import models
from simswap.demo.calls.failures import readable_errors
from simswap.demo.choices import Choices
from simswap.demo.services import photos as service
from simswap.demo.services.live_sessions import LiveSession, LiveSessions, SwapStream
from simswap.demo.services.photos import Person

IS_GPU_LENT = Config.zero_gpu

sessions = LiveSessions()


def open_session(last: object, person: Person, choices: Choices, address: str) -> LiveSession:
    """Give a page a session of its own with this person.

    last: the token of the page's last session, which then ends; address: the visitor's.
    Raises OptionError if there is no place for it.
    """
    session = LiveSession(*_way_to_swap(person, choices))
    session.made_of = (person, choices)
    with suppress(OptionError):
        sessions.end(sessions.shown(last))
    sessions.open(session, address)
    return session


def change_session(session: LiveSession, person: Person, choices: Choices) -> None:
    """Let a session, which keeps its token, go on as a new one would begin."""
    if (person, choices) != session.made_of:
        session.change(*_way_to_swap(person, choices))
        session.made_of = (person, choices)


def _way_to_swap(person: Person, choices: Choices) -> tuple[SwapStream, str]:
    """What turns frames into results, and the name of the model that does it."""
    options, swapper = choices.swap_options(), models.by_name(choices.model)
    photos = service.read_person(person, swapper.name)
    identity = find_identity([photo.image for photo in photos], swapper.name)

    def swap(frames: Iterator[np.ndarray]) -> Iterator[SwapResult]:
        if IS_GPU_LENT:  # to one call at a time, in a process of its own
            return (swap_on_lent_gpu(frame, identity, options, swapper.name) for frame in frames)
        return swapper.swap_live(frames, identity, options)

    return swap, swapper.name


@spaces.GPU(duration=15)
@readable_errors()
def find_identity(photos: list[np.ndarray], model: str) -> Identity:
    """The person that photos ([H, W, 3] uint8 RGB) show, as a model sees them."""
    return models.by_name(model).identity_of(photos)


@spaces.GPU(duration=10)
@readable_errors()
def swap_on_lent_gpu(
    frame: np.ndarray, identity: Identity, options: SwapOptions, model: str
) -> SwapResult:
    """Swap one camera frame ([H, W, 3] uint8 RGB)."""
    return next(models.by_name(model).swap_frames([frame], identity, options, batch_size=1))
