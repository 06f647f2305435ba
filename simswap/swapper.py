"""FaceSwapper: a model's pipeline, with photos of people in, and whole videos."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from simswap.deny_list import DenyList, configured_folder
from simswap.errors import NoFaceFoundError, OptionError
from simswap.swap import selection
from simswap.swap.pipeline import (
    DEFAULT_OPTIONS,
    EVERY_FRAME_BY_ITSELF,
    LIVE_DETECT_EVERY,
    Pipeline,
)
from simswap.swap.rendering import checked_frame
from simswap.swap.selection import Cast
from simswap.swap.stream import StreamOptions
from simswap.types import (
    Assignment,
    Face,
    FaceTrack,
    Identity,
    Source,
    SwapOptions,
    SwapResult,
)
from simswap.weights.bundle import Bundle, load_bundle

if TYPE_CHECKING:
    from simswap.video.on_cluster import Cluster
    from simswap.video.options import OnProgress, VideoOptions, VideoReport


class FaceSwapper(Pipeline):
    """A loaded model, safe to share between threads; see Pipeline for its networks.

    Whoever is swapped in, by any method, has passed the operator's deny list.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str | torch.device | None = None,
        detector: str = "bundled",
        deny_list: Path | None = None,
        runtime: str | None = None,
    ) -> None:
        """Take over a bundle, as Pipeline does.

        deny_list: a folder of photos whose faces are never swapped in; None: all may be.
        """
        super().__init__(bundle, device, detector, runtime)
        self._deny_list: DenyList | None = None  # none while its own photos are looked at
        if deny_list is not None:
            self._deny_list = DenyList.of_folder(
                deny_list, lambda photo: self.identity_of(photo).embedding
            )

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | None = None,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        detector: str = "bundled",
        runtime: str | None = None,
    ) -> FaceSwapper:
        """Load a model.

        Args:
            source: a model folder or a Hub repo id; None is the bundled model, read offline.
            revision: branch, tag or commit of a Hub repo.
            device: such as "cpu" or "cuda:1"; None means CUDA where there is one, else the CPU.
            detector: "bundled"; "insightface", the SCRFD network of a pack on this machine (see
                packs.py); or "auto", such a pack where there is one.
            runtime: "torch" or "openvino"; None is what SIMSWAP_RUNTIME names, else OpenVINO on a
                CPU where it is installed, else torch. It compiles a network at its first call.

        Raises:
            ModelError: the model is missing, damaged or unknown.
            OptionError: the device or runtime is not there, or the deny list's folder is of no use.
        """
        bundle = load_bundle(source, revision)
        return cls(bundle, device, detector, configured_folder(), runtime)

    def identity_of(self, photos: np.ndarray | Sequence[np.ndarray]) -> Identity:
        """The identity that one photo, or several of the same person, show: their largest faces.

        photos: [H, W, 3] uint8 RGB, or a list of such. The embeddings of several are averaged.
        Raises NoFaceFoundError if one of them shows no face, RefusedFaceError if the person is on
        the operator's deny list, ValueError for another shape.
        """
        photos = [photos] if isinstance(photos, np.ndarray) else photos
        photos = [checked_frame(photo) for photo in photos]
        if not photos:
            raise OptionError("No source photo was given. Give at least one.")
        embeddings, notices = [], []
        for number, photo in enumerate(photos, start=1):
            faces = self.detect(photo)
            called = "The source photo" if len(photos) == 1 else f"Source photo {number}"
            if not faces:
                raise selection.no_face(called, photo, DEFAULT_OPTIONS)
            if len(faces) > 1:
                notices.append(f"{called} shows {len(faces)} faces; the largest is used.")
            embeddings.append(self.embed(photo, faces[:1])[0])
        mean = np.mean(embeddings, axis=0)
        notices += selection.odd_ones_out(np.stack(embeddings))
        identity = Identity(mean / np.linalg.norm(mean), len(photos), tuple(notices))
        return self._checked(identity)

    def swap_image(
        self, photo: np.ndarray, source: Source, options: SwapOptions = DEFAULT_OPTIONS
    ) -> SwapResult:
        """Swap the faces of one photo.

        Args:
            photo: [H, W, 3] uint8 RGB; it is not modified.
            source: one Identity for every face, or a list of Assignment.
            options: which faces, and how.

        Raises:
            NoFaceFoundError: the photo shows no face, or none that resembles a reference.
            OptionError: options or assignments name a face that the photo does not have.
        """
        frame = checked_frame(photo)
        checked = self._checked(source)
        plan = self.plan(frame, self.detect_batch([frame], options)[0], checked, options)
        if not plan.faces:
            raise selection.no_face("The target photo", photo, options)
        if not isinstance(options.faces, str):
            selection.check_face_numbers(options.faces, len(plan.faces))
        if not isinstance(checked, Identity):
            numbers = [one.number for one in checked if one.number is not None]
            selection.check_face_numbers(numbers or [0], len(plan.faces))
        if not plan.identities:
            raise NoFaceFoundError(
                "No chosen face of the target photo resembles a reference person. "
                f"{' '.join(plan.notices)} Try another photo of them."
            )
        return self.render([frame], [plan], options)[0]

    def swap_frames(
        self,
        frames: Iterable[np.ndarray],
        source: Source | Cast,
        options: SwapOptions = DEFAULT_OPTIONS,
        *,
        batch_size: int | None = None,
        stream: StreamOptions = EVERY_FRAME_BY_ITSELF,
        known: Iterable[list[Face]] = (),
    ) -> Iterator[SwapResult]:
        """Swap frame after frame, see Pipeline.swap_frames. Raises RefusedFaceError."""
        how = {"batch_size": batch_size, "stream": stream, "known": known}
        return super().swap_frames(frames, self._checked(source), options, **how)

    def swap_live(
        self,
        frames: Iterable[np.ndarray],
        source: Source,
        options: SwapOptions = DEFAULT_OPTIONS,
        *,
        detect_every: int = LIVE_DETECT_EVERY,
    ) -> Iterator[SwapResult]:
        """Swap a camera's frames, see Pipeline.swap_live. Raises RefusedFaceError."""
        checked = self._checked(source)
        return super().swap_live(frames, checked, options, detect_every=detect_every)

    def swap_video(
        self,
        target: str | os.PathLike[str],
        output: str | os.PathLike[str],
        source: Source,
        options: SwapOptions = DEFAULT_OPTIONS,
        *,
        video: VideoOptions | None = None,
        on_progress: OnProgress | None = None,
        job_folder: str | os.PathLike[str] | None = None,
        resume: bool = True,
        cluster: Cluster | None = None,
    ) -> VideoReport:
        """Swap a video file of any length into a new one, its sound kept.

        Args:
            target: the video whose faces are replaced.
            output: a .mp4, .mov, .mkv, .webm, .gif or .webp; appears (or is replaced)
                only when all is done.
            source: as for swap_frames.
            options: which faces, and how.
            video: which part, how it is written, how faces are followed; None: the defaults.
            on_progress: called some times a second; raise JobCancelledError in it to give up.
            job_folder: keeps finished parts until the end; None is a hidden one beside the output.
            resume: go on where the same job was interrupted; False begins anew.
            cluster: makes the parts; None: this process does, one after the other.

        Raises:
            MediaError: the video cannot be read, or the output not be written.
            OptionError: a trim outside the video, or an unfinished job of other settings.
        """
        # Here, because a photo needs no video library, which takes long to load.
        from simswap.video.job import VideoJob
        from simswap.video.on_cluster import SegmentsOnCluster
        from simswap.video.options import VideoOptions
        from simswap.video.progress import run_here

        source, video = self._checked(source), video or VideoOptions()
        job = VideoJob.plan(self, target, output, source, options, video, job_folder)
        make_segment = SegmentsOnCluster(job, cluster).make if cluster is not None else None
        return run_here(job, self, on_progress, resume, make_segment)

    def people_of(
        self,
        target: str | os.PathLike[str],
        options: SwapOptions = DEFAULT_OPTIONS,
        *,
        video: VideoOptions | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> tuple[FaceTrack, ...]:
        """The people of a video in the order of their numbers, as swap_video chooses them.

        options: `faces` is not looked at; video: which part, and how faces are found; None: the
        defaults.
        on_progress: called with the number of frames looked at, and of all.
        Raises MediaError if the video cannot be read, OptionError for a trim outside of it.
        """
        from simswap.video.options import VideoOptions
        from simswap.video.people import people_of_video

        video = video or VideoOptions()
        return people_of_video(self, Path(target), options, video, on_progress)

    def _checked(self, source: Source | Cast) -> Source | Cast:
        """The source. Whoever is swapped in, in photos, videos and streams, passes here.

        Raises OptionError if it is neither an Identity nor a list of Assignment, RefusedFaceError
        if one of its identities is on the deny list.
        """
        if isinstance(source, Cast):
            identities = source.identities.values()
        elif isinstance(source, Identity):
            identities = [source]
        else:
            assignments = list(source) if isinstance(source, Sequence) else []
            if not assignments or not all(isinstance(item, Assignment) for item in assignments):
                raise OptionError(
                    f"source must be an Identity (see identity_of) or a list of Assignment, "
                    f"not {type(source).__name__}."
                )
            source = assignments
            identities = [item.identity for item in assignments]
        if self._deny_list is not None:
            self._deny_list.check(identities)
        return source
