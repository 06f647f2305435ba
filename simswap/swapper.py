"""FaceSwapper: a loaded model, and the one path that photos, videos and streams go through."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from simswap import geometry
from simswap.deny_list import DenyList, checked_source, configured_folder
from simswap.errors import NoFaceFoundError, OptionError
from simswap.faces.detection import detect_faces
from simswap.faces.held_embeddings import Embed, HeldEmbeddings
from simswap.faces.packs import open_detector
from simswap.models.inference import prepare_for_inference
from simswap.swap import selection, stages
from simswap.swap.inputs import (
    checked_frame,
    naming_memory,
    no_face,
    resolve_device,
)
from simswap.swap.rendering import Rendering, SwapPlan
from simswap.swap.stream import FrameStream, StreamOptions
from simswap.types import Face, Identity, Source, SwapOptions, SwapResult
from simswap.video.job import VideoJob
from simswap.video.options import OnProgress, VideoOptions, VideoReport
from simswap.video.progress import run_job
from simswap.watermark.code import mark_id
from simswap.watermark.reading import MarkReading, read_faces
from simswap.weights.bundle import Bundle, load_bundle

# Frames held at once. On a CPU batches gain nothing (measured: the detector takes twice as long per
# frame), cost latency, and tip the last bit of a result; a GPU wants them.
FRAME_BATCH = {"cpu": 1, "cuda": 8}
DEFAULT_OPTIONS = SwapOptions()
EVERY_FRAME_BY_ITSELF = StreamOptions()
DEFAULT_VIDEO = VideoOptions()


class FaceSwapper:
    """A loaded model. Immutable, and safe to share between threads: the source is an argument.

    generator: [B, 3, S, S] RGB [0, 1], [B, 512] unit norm -> [B, 3, S, S] RGB [0, 1].
    identity_network: [B, 3, S, S] RGB [0, 1] -> [B, 512], not normalised.
    detector: the network behind `detect`.
    mark_id: 32 bits that name the model in the invisible mark.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str | torch.device | None = None,
        detector: str = "bundled",
        deny_list: Path | None = None,
    ) -> None:
        """Take over a bundle: its networks are fused, frozen and moved, not copied.

        device: None means CUDA where there is one, else the CPU; detector: see from_pretrained.
        deny_list: a folder of photos whose faces are never swapped in; None: all are.
        """
        self.device = resolve_device(device)
        self.name = bundle.name
        self.mark_id = mark_id(bundle.name)
        self.alignment = bundle.config.alignment
        self.generator = prepare_for_inference(bundle.generator, self.device)
        self._rendering_generator = stages.for_rendering(self.generator, self.device)
        self.identity_network = prepare_for_inference(bundle.identity_network, self.device)
        self.detector = prepare_for_inference(bundle.detector, self.device)
        self._scrfd = open_detector(detector)
        self._deny_list = DenyList()  # of nobody, while the list's own photos are looked at
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
    ) -> FaceSwapper:
        """Load a model.

        Args:
            source: a model folder or a Hub repo id; None is the bundled model, read offline.
            revision: branch, tag or commit of a Hub repo.
            device: such as "cpu" or "cuda:1"; None means CUDA where there is one, else the CPU.
            detector: "bundled"; "insightface", the SCRFD network of a pack on this machine (see
                packs.py); or "auto", such a pack where there is one.

        Raises:
            ModelError: the model is missing, damaged or unknown.
            OptionError: the device is not there, or the deny list's folder is of no use.
        """
        return cls(load_bundle(source, revision), device, detector, configured_folder())

    def detect(self, photo: np.ndarray, min_score: float = DEFAULT_OPTIONS.min_score) -> list[Face]:
        """Faces of a photo ([H, W, 3] uint8 RGB), largest first."""
        options = SwapOptions(min_score=min_score)
        return self.detect_batch([checked_frame(photo)], options)[0]

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
                raise no_face(called, photo, DEFAULT_OPTIONS)
            if len(faces) > 1:
                notices.append(f"{called} shows {len(faces)} faces; the largest is used.")
            embeddings.append(self.embed(photo, faces[:1])[0])
        mean = np.mean(embeddings, axis=0)
        notices += selection.odd_ones_out(np.stack(embeddings))
        identity = Identity(mean / np.linalg.norm(mean), len(photos), tuple(notices))
        self._deny_list.check(identity)
        return identity

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
            OptionError: options name a face that the photo does not have.
        """
        frame = checked_frame(photo)
        faces = self.detect_batch([frame], options)
        plan = self.plan_faces([frame], faces, checked_source(source, self._deny_list), options)[0]
        if not plan.faces:
            raise no_face("The target photo", photo, options)
        selection.check_face_numbers(options, len(plan.faces))
        if not plan.identities:
            raise NoFaceFoundError(
                "No chosen face of the target photo resembles a reference person. "
                f"{' '.join(plan.notices)} Try another photo of them."
            )
        return self.render_batch([frame], [plan], options)[0]

    def swap_frames(
        self,
        frames: Iterable[np.ndarray],
        source: Source,
        options: SwapOptions = DEFAULT_OPTIONS,
        *,
        batch_size: int | None = None,
        stream: StreamOptions = EVERY_FRAME_BY_ITSELF,
    ) -> Iterator[SwapResult]:
        """Swap frame after frame; one result for each, in order.

        frames: [H, W, 3] uint8 RGB each. A frame without a face to swap passes through as it is,
        with `swapped` empty; face numbers that a frame does not have are skipped.
        batch_size: frames held at once; None is 1 on a CPU, 8 on a GPU.
        stream: whether faces are followed and held steady from frame to frame, and by how many
            workers frames are swapped; the default takes every frame by itself.
        """
        if batch_size is None:
            batch_size = FRAME_BATCH.get(self.device.type, 1)
        if batch_size < 1:
            raise OptionError(f"batch_size={batch_size} must be at least 1.")
        checked = checked_source(source, self._deny_list)
        embed = HeldEmbeddings(self.embed, stream.detect_every).of if stream.live else None

        def swap(batch: Sequence[np.ndarray], faces: Sequence[Sequence[Face]]) -> list[SwapResult]:
            plans = self.plan_faces(batch, faces, checked, options, embed)
            return self.render_batch(batch, plans, options)

        steps = FrameStream(partial(self.detect_batch, options=options), swap, stream, batch_size)
        return steps.results(map(checked_frame, frames))

    def swap_video(
        self,
        target: str | os.PathLike[str],
        output: str | os.PathLike[str],
        source: Source,
        options: SwapOptions = DEFAULT_OPTIONS,
        *,
        video: VideoOptions = DEFAULT_VIDEO,
        on_progress: OnProgress | None = None,
        job_folder: str | os.PathLike[str] | None = None,
        resume: bool = True,
    ) -> VideoReport:
        """Swap a video file of any length into a new one, its sound kept.

        Args:
            target: the video whose faces are replaced.
            output: a .mp4 or .webm, which appears (or is replaced) only when all is done.
            source: as for swap_frames.
            options: which faces, and how.
            video: which part, how it is written, how faces are followed.
            on_progress: called some times a second; raise JobCancelledError in it to give up.
            job_folder: keeps finished parts until the end; None is a hidden one beside the output.
            resume: go on where the same job was interrupted; False begins anew.

        Raises:
            MediaError: the video cannot be read, or the output not be written.
            OptionError: a trim outside the video, or an unfinished job of other settings.
        """
        source = checked_source(source, self._deny_list)
        job = VideoJob.plan(self, target, output, source, options, video, job_folder)
        return run_job(job, self, on_progress, resume)

    def warm_up(self) -> None:
        """Run every network once, so that the first swap does not pay for one-time set-up."""
        frame = np.full((720, 1280, 3), 128, np.uint8)
        self.detect(frame)
        landmarks = geometry.frontal_template(self.alignment.crop_template) * 300  # px
        face = Face(np.array([0, 0, 300, 300], np.float32), landmarks.astype(np.float32), 1.0)
        identity = Identity(self.embed(frame, [face])[0])
        self.render_batch([frame], [SwapPlan((face,), {0: identity})], DEFAULT_OPTIONS)

    @naming_memory()
    def detect_batch(self, frames: Sequence[np.ndarray], options: SwapOptions) -> list[list[Face]]:
        """Faces of each frame, largest first."""
        limits = {"min_score": options.min_score, "min_face": options.min_face}
        if self._scrfd is not None:
            return self._scrfd.detect_faces(frames, **limits)
        return detect_faces(self.detector, frames, **limits)

    @naming_memory()
    def embed(self, frame: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """Identity embeddings of at least one face of a frame: [N, 512] float32, unit norm."""
        template = self.alignment.identity_template
        return stages.embed_faces(self.identity_network, frame, faces, template)

    def plan_faces(
        self,
        frames: Sequence[np.ndarray],
        faces: Sequence[Sequence[Face]],
        source: Source,
        options: SwapOptions,
        embed: Embed | None = None,
    ) -> list[SwapPlan]:
        """Decide for each frame which of its faces (largest first) get which identity.

        embed: what gives the embeddings of a frame's faces; None: each is taken by itself.
        """
        return [
            self._plan(frame, tuple(found), source, options, embed or self.embed)
            for frame, found in zip(frames, faces, strict=True)
        ]

    @naming_memory()
    def render_batch(
        self, frames: Sequence[np.ndarray], plans: Sequence[SwapPlan], options: SwapOptions
    ) -> list[SwapResult]:
        """Carry out the plans: one generator batch for the faces of all frames, then paste."""
        rendering = Rendering(self._rendering_generator, self.alignment, self.mark_id)
        return rendering.results(frames, plans, options)

    def read_marks(self, photo: np.ndarray) -> list[MarkReading]:
        """Invisible marks on the faces of a photo ([H, W, 3] uint8 RGB); empty if none has one."""
        return read_faces(checked_frame(photo), self.detect(photo)[: selection.MAX_FACES])

    def _plan(
        self,
        frame: np.ndarray,
        faces: tuple[Face, ...],
        source: Source,
        options: SwapOptions,
        embed: Embed,
    ) -> SwapPlan:
        chosen = selection.choose_faces(faces, options)
        guidance = self.generator.config.identity_guidance
        too_many = selection.left_out(faces, options)
        if not chosen or (isinstance(source, Identity) and not guidance):
            return SwapPlan(faces, dict.fromkeys(chosen, source), too_many)
        embeddings = embed(frame, [faces[index] for index in chosen])
        if isinstance(source, Identity):
            matched, notices = dict.fromkeys(range(len(chosen)), source), ()
        else:
            matched, notices = selection.match_references(embeddings, source)
        identities = {
            chosen[i]: selection.push_apart(matched[i], embeddings[i], guidance)
            for i in sorted(matched)
        }
        return SwapPlan(faces, identities, (*too_many, *notices))
