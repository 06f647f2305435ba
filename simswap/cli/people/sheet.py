"""A picture of each person of a video, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from simswap.geometry import cut_square
from simswap.swap.visible_label import FONT
from simswap.types import FaceTrack
from simswap.video.source.info import VideoInfo
from simswap.video.source.reading import read_chosen

SIDE = 160  # px of a picture
CAPTION = 28  # px below it
COLUMNS = 6
MOST = 60  # people, those with most face area
AROUND = 0.4  # of the face's long side, shown around it
PAPER, INK = 245, (30, 30, 30)


def draw(info: VideoInfo, tracks: Sequence[FaceTrack], num_frames: int) -> np.ndarray:
    """The sheet, uint8 [H, W, 3] RGB: each face where it is largest, its number and share.

    num_frames: of which the share is told.
    """
    tracks = tracks[:MOST]
    columns = max(min(COLUMNS, len(tracks)), 1)
    rows = max(-(-len(tracks) // columns), 1)
    sheet = np.full((rows * (SIDE + CAPTION), columns * SIDE, 3), PAPER, np.uint8)
    places = {track.number: divmod(i, columns) for i, track in enumerate(tracks)}
    numbers = sorted({track.best_frame for track in tracks})
    frames = read_chosen(info, numbers) if numbers else ()
    for number, frame in zip(numbers, frames, strict=True):
        for track in tracks:
            if track.best_frame == number:
                row, column = places[track.number]
                top, left = row * (SIDE + CAPTION), column * SIDE
                sheet[top : top + SIDE, left : left + SIDE] = _picture(frame, track)
                share = 100 * track.num_frames / num_frames
                corner = (left + 6, top + SIDE + CAPTION - 8)
                text = f"#{track.number}  {share:.0f} %"
                cv2.putText(sheet, text, corner, FONT, 0.6, INK, 1, cv2.LINE_AA)
    return sheet


def _picture(frame: np.ndarray, track: FaceTrack) -> np.ndarray:
    """[SIDE, SIDE, 3]: the face and a little around it."""
    box = np.array(track.best_box).reshape(2, 2)
    side = (1 + 2 * AROUND) * float((box[1] - box[0]).max())
    return cut_square(frame, box.mean(axis=0), side, SIDE)
