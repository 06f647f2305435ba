"""A video's swap as a job: cut into segments that are made one by one and joined at the end.

Each segment is decoded, swapped and encoded by itself, in a cut that depends on the settings alone.
So a job may be interrupted anywhere and go on later, in another process too, and its result is the
same to the byte on the same machine, but for the signature, which tells a time and is random.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from simswap.errors import MediaError, ModelError, SimSwapError
from simswap.files import lasting_beside, sha256_of
from simswap.media import allowance
from simswap.media.photos import check_writable
from simswap.memory import hand_back
from simswap.provenance.signing import sign_video
from simswap.swap.pipeline import Pipeline
from simswap.swap.selection import needs_tracks
from simswap.swap.stream import StreamOptions, frames_around, workers_for
from simswap.swap.threads import made_ahead, taken_away
from simswap.types import Identity, Source, SwapOptions, SwapResult
from simswap.video.job_folder import JobFolder, Setting
from simswap.video.job_seal import key_of_parts
from simswap.video.metadata_label import video_metadata
from simswap.video.options import VideoOptions
from simswap.video.output.animation import check_result
from simswap.video.output.joining import join_segments
from simswap.video.output.writing import Encoding, SegmentWriter
from simswap.video.people import FirstPass, queue_depth, swap_known
from simswap.video.segments import Segment, SegmentRecord, cut
from simswap.video.source.info import VideoInfo, probe_video, trim
from simswap.video.source.reading import read_frames

logger = logging.getLogger(__name__)

# Seconds that a GPU call is given, before any segment has told how long one takes. Generous: a call
# that ends too early is done twice, and only the time used is charged.
SECONDS_TO_START = 10.0
SECONDS_PER_MEGAPIXEL = 0.05  # of each frame: decode, detect, encode
SECONDS_PER_FACE = 0.05
SAFETY = 2.0  # times what the finished segments took


@dataclass(frozen=True, eq=False)
class VideoJob:
    """What is to be done, and where. Holds no network and no open file: it can be sent elsewhere.

    first, end: frames of the video that are wanted. model: the bundle's name, for the label.
    settings: all that shapes the result, as hashes and numbers.
    """

    info: VideoInfo
    output: Path
    source: Source
    options: SwapOptions
    video: VideoOptions
    folder: JobFolder
    first: int
    end: int
    model: str
    settings: Mapping[str, Setting]

    @classmethod
    def plan(
        cls,
        pipeline: Pipeline,
        target: str | os.PathLike[str],
        output: str | os.PathLike[str],
        source: Source,
        options: SwapOptions,
        video: VideoOptions,
        job_folder: str | os.PathLike[str] | None = None,
    ) -> VideoJob:
        """Look at the video and decide; writes nothing.

        job_folder: None is a hidden folder beside the output.
        Raises MediaError for a video that cannot be read or an output that cannot be written,
        OptionError for a trim outside the video, or an animation that would be too large.
        """
        output = Path(output)
        video.encoding(output)  # may raise, before the file is looked through
        info = probe_video(target, video.limits)
        encoding = video.encoding(output, info)
        check_writable(output)
        if output.exists() and output.samefile(target):
            raise MediaError("The output would overwrite the video itself. Choose another name.")
        first, end = trim(info, video.start, video.end)
        check_result(info, first, end, encoding)
        settings = {
            "input": sha256_of(info.path),
            "model": _hash_of_networks(pipeline),
            "device": pipeline.device.type,
            "identity": _hash_of_source(source),
            "swap options": repr(options),
            "encoding": repr(encoding),
            "first frame": first,
            "end frame": end,
            "detect_every": video.detect_every,
            "steady": video.steady,
            "frames of a segment": video.frames_per_segment(float(info.frame_rate)),
        }
        place = Path(job_folder or lasting_beside(output, "job"))
        folder = JobFolder(place, key_of_parts(settings))
        return cls(
            info, output, source, options, video, folder, first, end, pipeline.name, settings
        )

    @property
    def num_frames(self) -> int:
        """Frames of the result."""
        return self.end - self.first

    @property
    def encoding(self) -> Encoding:
        """How it is encoded."""
        return self.video.encoding(self.output, self.info)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The parts in order."""
        length = self.video.frames_per_segment(float(self.info.frame_rate))
        return cut(self.first, self.end, length)

    @property
    def first_pass(self) -> FirstPass | None:
        """What finds out who is who before any segment is made; None if that is of no matter."""
        if not needs_tracks(self.source, self.options):
            return None
        read = partial(read_frames, self.info)
        every = self.video.detect_every
        return FirstPass(read, self.segments, self.folder, self.source, self.options, every)

    @contextmanager
    def opened(self, resume: bool = True) -> Iterator[VideoJob]:
        """Hold the job folder while segments are run; see JobFolder.opened."""
        with self.folder.opened(self.settings, resume):
            yield self

    def check_model(self, pipeline: Pipeline) -> None:
        """Raise ModelError if this is not the model that the job was planned with."""
        if self.settings["model"] != _hash_of_networks(pipeline):
            raise ModelError(
                f"A machine of the cluster has another model than {self.model} in this place. "
                "Put the same files there."
            )

    def finished(self) -> dict[int, SegmentRecord]:
        """Records of the segments that need not be run any more, by number."""
        records = {segment.number: self.folder.record(segment.number) for segment in self.segments}
        return {number: record for number, record in records.items() if record is not None}

    def segment_results(self, pipeline: Pipeline, number: int) -> Generator[SwapResult, None, None]:
        """Make one segment, what one call on a lent GPU does: its swapped frames, in order.

        The segment is finished when all of them have been taken; closed before, it leaves nothing.
        Raises what decoding, swapping and encoding raise, with the segment's time.
        """
        segment = self.segments[number]
        try:
            record = yield from self._make(pipeline, segment)
            self.folder.keep(number, record)
        except SimSwapError as error:
            raise type(error)(f"{self._span(segment)}: {error}") from error
        except Exception as error:
            error.add_note(f"{self._span(segment)} of the video.")
            raise
        finally:
            hand_back()  # its threads' heaps are used anew by the next one's, in other pieces

    def estimated_seconds(self, number: int, faces_per_frame: float = 1.0) -> float:
        """How long a segment may take at most, for a GPU's time limit.

        faces_per_frame: the guess to go by while no segment has been finished.
        """
        segment = self.segments[number]
        num_frames = segment.end - segment.first
        if records := self.finished().values():
            per_frame = max(record.seconds / record.num_frames for record in records) * SAFETY
        else:
            megapixels = self.info.width * self.info.height / 1e6
            per_frame = SECONDS_PER_MEGAPIXEL * megapixels + SECONDS_PER_FACE * faces_per_frame
        return SECONDS_TO_START + num_frames * per_frame

    def finish(self) -> tuple[str, ...]:
        """Join the segments under the output's name and remove the job folder; returns notices."""
        self.folder.check_parts(segment.number for segment in self.segments)
        told = {"metadata": {}}  # of a video in which no face was swapped
        if any(record.faces_swapped for record in self.finished().values()):
            told = {
                "metadata": video_metadata(self.model, self.encoding.format),
                "seal": self._sign,
            }
        segments = [self.folder.segment(segment.number) for segment in self.segments]
        span = self.first, self.end
        made_of = segments, self.info, *span, self.encoding
        notices = join_segments(*made_of, self.output, room=self.folder.path, **told)
        self.folder.remove()
        return notices

    def _sign(self, part: Path) -> tuple[str, ...]:
        # With its sound, which the segments do not have.
        advice = "Choose a larger crf, or a shorter part with start and end."
        allowance.check_signable(part.stat().st_size, 2, advice)
        return sign_video(part, self.model, self.info.path)

    def cancel(self) -> None:
        """Leave nothing behind."""
        self.folder.remove()

    def _span(self, segment: Segment) -> str:
        start, end = self.info.seconds(segment.first), self.info.seconds(segment.end)
        return f"Between {start:.2f} s and {end:.2f} s"

    def _make(
        self, pipeline: Pipeline, segment: Segment
    ) -> Generator[SwapResult, None, SegmentRecord]:
        started = time.perf_counter()
        # Neighbours steady the first and last frames, as in one long run.
        context = frames_around(self.video.detect_every, self.video.steady)
        start = max(segment.first - context, self.first)
        reader = read_frames(self.info, start, min(segment.end + context, self.end))
        stream = StreamOptions(
            detect_every=self.video.detect_every,
            steady=self.video.steady,
            workers=workers_for(pipeline.device),
            num_before=segment.first - start,
            num_wanted=segment.end - segment.first,
        )
        depth = queue_depth(self.info.frame_bytes)
        swapped = without_face = unswapped = 0
        with (
            made_ahead(reader, depth) as frames,
            SegmentWriter(
                self.folder.segment(segment.number),
                self.info,
                self.encoding,
                segment.first,
            ) as writer,
            taken_away(writer.write, depth) as write,
            closing(
                swap_known(
                    pipeline, frames, start, self.source, self.options, stream, self.first_pass
                )
            ) as results,
        ):
            for result in results:
                write(result.image)
                swapped += len(result.swapped)
                without_face += not result.faces
                unswapped += bool(result.faces) and not result.swapped
                yield result
        seconds = time.perf_counter() - started
        num_frames = segment.end - segment.first
        logger.info("Swapped %d frames in %.1f s", num_frames, seconds)
        return SegmentRecord(
            num_frames, swapped, without_face, unswapped, reader.num_repeated, seconds
        )


def _hash_of_networks(pipeline: Pipeline) -> str:
    digest = hashlib.sha256(repr((pipeline.generator.config, pipeline.alignment)).encode())
    for network in (pipeline.generator, pipeline.identity_network, pipeline.detector):
        for name, tensor in network.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _hash_of_source(source: Source) -> str:
    digest = hashlib.sha256()
    if isinstance(source, Identity):
        digest.update(source.embedding.tobytes())
        return digest.hexdigest()
    for one in source:
        digest.update(one.identity.embedding.tobytes())
        digest.update(
            str(one.number).encode() if one.reference is None else one.reference.embedding.tobytes()
        )
    return digest.hexdigest()
