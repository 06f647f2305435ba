"""What is measured of swapped videos: some frames by the judges, a run of them for steadiness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simswap import FaceSwapper
from simswap.video.source.info import VideoInfo, probe_video
from train.errors import TrainingError
from train.evaluate.judges import Judges
from train.evaluate.measurements import Measurements, attribute_errors, merge_measurements
from train.evaluate.videos.pairs import (
    VideoPair,
    frames_beside,
    probe_result,
    read_source,
    sampled,
)
from train.evaluate.videos.steadiness import SteadinessMeter, Track


@dataclass(frozen=True)
class Looks:
    """How much of each video is looked at."""

    frames: int = 10  # evenly spread, of which judges see the face
    run: int = 60  # in a row from the middle on, of which steadiness is measured; 0: none


@dataclass(frozen=True, eq=False)
class VideoMeasurements:
    """Of one video and one system.

    frames: what judges say of the frames looked at in which the target shows a face; their sources
    are the source's frames in turn. tracks: of the largest face, see steadiness. num_faceless:
    frames looked at in which the target shows none. is_missing: there is no result, and the target
    counts as one.
    """

    frames: Measurements
    tracks: tuple[Track, ...]
    num_faceless: int
    is_missing: bool


def measure_video(
    pair: VideoPair,
    results: Mapping[str, Path | None],
    num_pairs: int,
    swapper: FaceSwapper,
    judges: Judges,
    looks: Looks,
) -> dict[str, VideoMeasurements]:
    """Judge what several systems made of a pair, by name; None: no result.

    num_pairs: of the whole list; swapper: its detector finds the faces that all are judged at.
    Raises MediaError, and TrainingError if the source shows no face, the target none in any frame
    looked at, or a result has not its target's frames.
    """
    target = probe_video(pair.target)
    infos = [path and probe_result(path, target) for path in results.values()]
    sources = _source_embeddings(pair, swapper, judges, looks.frames)
    numbers = sampled(target.num_frames, looks.frames)
    rows: list[list[Measurements]] = []
    for place, (frame, *images) in enumerate(frames_beside(target, infos, numbers)):
        faces = swapper.detect(frame)
        if faces:
            # Frames of the two halves of the videos have numbers that are even and odd.
            number = pair.number + place * (num_pairs + num_pairs % 2)
            source = sources[place % len(sources)]
            landmarks = faces[0].landmarks.astype(np.float64)
            rows.append(_measure(number, pair.identity, source, frame, images, landmarks, judges))
    if not rows:
        raise TrainingError(
            f"{pair.target} shows no face in the {len(numbers)} frames looked at. Leave it out."
        )
    tracks = _tracks(target, infos, swapper, looks.run)
    return {
        name: VideoMeasurements(
            merge_measurements([row[i] for row in rows]),
            tuple(tracks[i]),
            len(numbers) - len(rows),
            path is None,
        )
        for i, (name, path) in enumerate(results.items())
    }


def _source_embeddings(
    pair: VideoPair, swapper: FaceSwapper, judges: Judges, count: int
) -> np.ndarray:
    """[M, E] of the frames with a face, M from 1 to `count`."""
    photos, landmarks = [], []
    for photo in read_source(pair.source, count):
        if faces := swapper.detect(photo):
            photos.append(photo)
            landmarks.append(faces[0].landmarks.astype(np.float64))
    if not photos:
        raise TrainingError(f"The source {pair.source} shows no face. Leave it out.")
    return judges.identity.embed(photos, landmarks)


def _measure(
    number: int,
    identity: str,
    source: np.ndarray,
    frame: np.ndarray,
    images: Sequence[np.ndarray],
    landmarks: np.ndarray,
    judges: Judges,
) -> list[Measurements]:
    """A frame and what each system made of it, judged at the target's landmarks [5, 2]."""
    pictures = [frame, *images]
    target, *results = judges.identity.embed(pictures, [landmarks] * len(pictures))
    target_features, *features = judges.features.features(pictures, landmarks)
    attributes = attribute_errors(images, frame, landmarks, judges)
    unmeasured = np.array([np.nan])
    return [
        Measurements(
            numbers=np.array([number]),
            identities=np.array([identity]),
            sources=source[None],
            targets=target[None],
            results=results[i][None],
            **attributes[i],
            self_l1=unmeasured,
            self_mse=unmeasured,
            target_features=target_features[None],
            result_features=features[i][None],
            is_missed=np.array([False]),
        )
        for i in range(len(images))
    ]


def _tracks(
    target: VideoInfo, results: Sequence[VideoInfo | None], swapper: FaceSwapper, run: int
) -> list[list[Track]]:
    """Of each result, from frames in a row around the middle."""
    if not run:
        return [[] for _ in results]
    run = min(run, target.num_frames)
    first = (target.num_frames - run) // 2
    meters = [SteadinessMeter(swapper) for _ in results]
    for frame, *images in frames_beside(target, results, range(first, first + run)):
        found = swapper.detect(frame)
        for meter, image in zip(meters, images, strict=True):
            meter.add(frame, image, found)
    return [meter.tracks() for meter in meters]
