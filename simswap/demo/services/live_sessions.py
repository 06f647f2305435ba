"""Visitors' live sessions: who is put in, and the one path that their camera's frames go through.

A session belongs to one open page. It holds an embedding and the newest swapped frame, in memory
only, and ends when the visitor stops, leaves, or sends nothing for a while.
"""

from __future__ import annotations

import io
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from simswap import MediaError, OptionError, SwapResult
from simswap.demo.services import nsfw
from simswap.media.decoding import decode_photo
from simswap.provenance.metadata import synthetic_xmp

MAX_FRAME_BYTES = 500_000  # a JPEG of the largest frame at high quality has half of that
MAX_FRAME_PIXELS = 1280 * 720
MIN_FRAME_SIDE = 64  # px
MAX_SESSIONS = 4  # at once; they take turns, frame by frame
MAX_SESSIONS_PER_ADDRESS = 2  # so that no visitor has all places
IDLE_SECONDS = 60.0  # without a frame, after which a session's place is free again
IDLE_WHERE_OTHERS_WAIT = 10.0  # after which it is, if somebody else wants it
JPEG_QUALITY = 85
CHECK_SECONDS = 1.0  # after which a frame is looked at again whether it is one to refuse
LOOKED_AT = (32, 32)  # px; a frame is at once where it differs from the last so looked at
MOST_CHANGE = 20  # of 255, on average

ENDED = "The live session has ended. Press Start camera to begin a new one."

SwapStream = Callable[[Iterator[np.ndarray]], Iterator[SwapResult]]


@dataclass(frozen=True)
class LiveFrame:
    """A swapped frame on its way to its visitor: a JPEG, and the numbers of faces."""

    jpeg: bytes
    num_faces: int
    num_swapped: int


class LiveSession:
    """One visitor's camera. Frames come one at a time; each is answered before the next is taken.

    Attributes:
        token: proves to the socket that the page which asks is the one that opened the session.
        model: name of the model at work, which each frame's metadata label tells.
        made_of: what the swap was made of, for whoever made it; two that are equal swap alike.
        newest: the last frame that it answered, [H, W, 3] uint8 RGB; None before the first.
    """

    def __init__(self, swap: SwapStream, model: str) -> None:
        """Begin a session; see `change`."""
        self.token = secrets.token_urlsafe(24)
        self.made_of: object = None
        self.last_used = time.monotonic()
        self._checked = -math.inf  # when a frame was last looked at, and was none to refuse
        self._looked_at: np.ndarray | None = None  # that frame, small
        self._frame = np.empty(0)
        self._busy = threading.Lock()
        self.change(swap, model)

    def change(self, swap: SwapStream, model: str) -> None:
        """Swap the frames that come from now on in another way.

        swap: frames to results, one by one, as FaceSwapper.swap_frames does it.
        """
        with self._busy:
            self.newest: np.ndarray | None = None
            self._is_swapped = False
            self.model = model
            self._xmp = synthetic_xmp(model)
            self._results = swap(self._frames())

    def swap(self, jpeg: bytes) -> LiveFrame:
        """Swap one frame.

        Raises MediaError if it is not a JPEG of a size that is taken, RefusedPictureError.
        """
        frame = decode_frame(jpeg)
        with self._busy:
            small = cv2.resize(frame, LOOKED_AT, interpolation=cv2.INTER_AREA).astype(np.int16)
            is_new = self._looked_at is None or np.abs(small - self._looked_at).mean() > MOST_CHANGE
            if is_new or time.monotonic() - self._checked >= CHECK_SECONDS:
                nsfw.check(frame, "The camera's picture")
                self._checked, self._looked_at = time.monotonic(), small
            self._frame, self.last_used = frame, time.monotonic()
            result = next(self._results)
            self.newest, self._is_swapped = result.image, bool(result.swapped)
            xmp = self._xmp if result.swapped else b""
        return LiveFrame(encode_frame(result.image, xmp), len(result.faces), len(result.swapped))

    def snapshot(self) -> tuple[np.ndarray, str | None]:
        """The newest frame and the model that swapped faces in it, None where there was none.

        Raises MediaError before the first frame.
        """
        with self._busy:
            if self.newest is None:
                raise MediaError("There is no swapped picture yet. Wait for the first one.")
            return self.newest, self.model if self._is_swapped else None

    def _frames(self) -> Iterator[np.ndarray]:
        while True:
            yield self._frame


def decode_frame(jpeg: bytes) -> np.ndarray:
    """A camera's frame, [H, W, 3] uint8 RGB. Raises MediaError for anything but a modest JPEG."""
    if len(jpeg) > MAX_FRAME_BYTES:
        raise MediaError(
            f"A camera frame of {len(jpeg)} bytes is more than the {MAX_FRAME_BYTES} that are "
            "taken. Choose a lower resolution for the camera."
        )
    not_whole = "A camera frame is not a whole JPEG. Stop and start again."
    if not jpeg.startswith(b"\xff\xd8\xff"):
        raise MediaError(not_whole)
    try:
        return decode_photo(jpeg, "The camera frame", _check_frame_size).image
    except MediaError as error:
        if error.__cause__ is None:  # refused as it is, not damaged
            raise
        raise MediaError(not_whole) from error


def _check_frame_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_FRAME_PIXELS or min(size) < MIN_FRAME_SIDE:
        raise MediaError(f"{name} of {width}x{height} pixels is not taken; up to 1280x720 is.")


def encode_frame(image: np.ndarray, xmp: bytes) -> bytes:
    """A swapped frame ([H, W, 3] uint8 RGB) as a JPEG; xmp: its metadata label, b"" for none."""
    encoded = io.BytesIO()
    Image.fromarray(image).save(encoded, "JPEG", quality=JPEG_QUALITY, xmp=xmp)
    return encoded.getvalue()


class LiveSessions:
    """The sessions of all open pages. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._addresses: dict[LiveSession, str] = {}  # of open sessions: where the visitor is

    def open(self, session: LiveSession, address: str) -> None:
        """Give a session one of the places.

        Raises OptionError if all of them are taken, or as many as one address may have.
        """
        with self._lock:
            self._forget_idle(IDLE_SECONDS)
            if self._refusal(address):
                self._forget_idle(IDLE_WHERE_OTHERS_WAIT)
            if refusal := self._refusal(address):
                raise OptionError(refusal)
            self._addresses[session] = address

    def shown(self, token: object) -> LiveSession:
        """The session of a token. Raises OptionError if it has ended, or there never was one."""
        session = self.of_token(token) if isinstance(token, str) else None
        if session is None:
            raise OptionError(ENDED)
        return session

    def of_token(self, token: str) -> LiveSession | None:
        """The session that a token was given out for, if it is still open."""
        with self._lock:
            self._forget_idle(IDLE_SECONDS)
            sessions = list(self._addresses)
        return next((one for one in sessions if _is_same(one.token, token)), None)

    def end(self, session: LiveSession) -> None:
        """Forget a session, if that has not happened yet."""
        with self._lock:
            self._addresses.pop(session, None)

    def is_open(self, session: LiveSession) -> bool:
        """Whether a session has not ended."""
        with self._lock:
            return session in self._addresses

    def _refusal(self, address: str) -> str:
        """Why an address gets no place; empty if it does."""
        addresses = list(self._addresses.values())
        if len(addresses) >= MAX_SESSIONS:
            return (
                f"All {MAX_SESSIONS} places for live cameras are taken at the moment. Try again "
                "in a minute."
            )
        if addresses.count(address) >= MAX_SESSIONS_PER_ADDRESS:
            return (
                f"{MAX_SESSIONS_PER_ADDRESS} live cameras of your address are on, which is the "
                "most that one may have. Stop one of them, or try again in a minute."
            )
        return ""

    def _forget_idle(self, seconds: float) -> None:
        now = time.monotonic()
        for session in list(self._addresses):
            if now - session.last_used > seconds:
                del self._addresses[session]


def _is_same(token: str, given: str) -> bool:
    return secrets.compare_digest(token.encode(), given.encode("utf-8", "replace"))
