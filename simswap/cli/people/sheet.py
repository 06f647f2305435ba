"""A picture of each person of a video, on one sheet."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

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
    box = np.array(track.best_box)
    centre, long_side = box.reshape(2, 2).mean(axis=0), float((box[2:] - box[:2]).max())
    size = max(round(long_side * (1 + 2 * AROUND)), 1)
    cut = cv2.getRectSubPix(frame, (size, size), tuple(map(float, centre)))
    return cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
