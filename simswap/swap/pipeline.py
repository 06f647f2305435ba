"""Pipeline: a loaded model, and the one path that photos, videos and streams go through."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Self

import numpy as np
import torch

from simswap import geometry
from simswap.errors import OptionError
from simswap.faces.detection import detect_faces
from simswap.faces.packs import open_detector
from simswap.faces.tracking import Embed, HeldEmbeddings, LiveFollower
from simswap.memory import naming_memory
from simswap.models.identity import INPUT_SIZE, embed_identity
from simswap.models.inference import prepare_for_inference
from simswap.runtime.choice import choose_runtime
from simswap.runtime.device import resolve_device
from simswap.runtime.networks import DetectorNetworks, Networks, load_networks
from simswap.runtime.torch_networks import TorchNetwork
from simswap.swap import selection
from simswap.swap.casting import StreamCast
from simswap.swap.pasting.covering import find_covers
from simswap.swap.rendering import (
    AlignedFace,
    align_face,
    checked_frame,
    crop_batches,
    finite,
    generate_in_turn,
    paste_faces,
)
from simswap.swap.selection import Cast, SwapPlan
from simswap.swap.stream import FrameStream, StreamOptions, check_range
from simswap.swap.visible_label import with_label
from simswap.types import Face, Identity, Source, SwapOptions, SwapResult
from simswap.watermark.code import symbols_of, watermark_id
from simswap.watermark.embedding import too_small
from simswap.watermark.reading import WatermarkReading, read_faces
from simswap.weights.bundle import Bundle

# Frames held at once. On a CPU batches gain nothing (measured: the detector takes twice as long per
# frame), cost latency, and tip the last bit of a result; a GPU wants them.
FRAME_BATCH = {"cpu": 1, "cuda": 8}
DEFAULT_OPTIONS = SwapOptions()
EVERY_FRAME_BY_ITSELF = StreamOptions()
LIVE_DETECT_EVERY = 6  # frames; detecting costs more than all else in a camera's frame


class Pipeline:
    """A loaded model. Immutable, and safe to share between threads: the source is an argument.

    generator: [B, 3, S, S] RGB [0, 1], [B, 512] unit norm -> [B, 3, S, S] RGB [0, 1].
    identity_network: [B, 3, S, S] RGB [0, 1] -> [B, 512], not normalised.
    detector: the network behind `detect`.
    parser: tells a face from what covers it; hair: see FacialHair. None where the model has none.
    running: these as the pipeline calls them, run by torch or OpenVINO.
    watermark_id: 32 bits that name the model; watermark_symbols: [10], as the watermark says them.
    """

    def __init__(
        self,
        bundle: Bundle,
        device: str | torch.device | None = None,
        detector: str = "bundled",
        runtime: str | None = None,
    ) -> None:
        """Take over a bundle: its networks are fused, frozen and moved, not copied.

        device: None means CUDA where there is one, else the CPU; detector, runtime: see
        FaceSwapper.from_pretrained.
        """
        self.device = resolve_device(device)
        runtime = choose_runtime(runtime, self.device)
        self.name, self.hair = bundle.name, bundle.facial_hair
        self.watermark_id = watermark_id(bundle.name)
        self.watermark_symbols = symbols_of(self.watermark_id)
        self.alignment = bundle.config.alignment
        self.generator = prepare_for_inference(bundle.generator, self.device)
        self.identity_network = prepare_for_inference(bundle.identity_network, self.device)
        self.detector = prepare_for_inference(bundle.detector, self.device)
        self.parser = bundle.parser and prepare_for_inference(bundle.parser, self.device)
        networks = self.generator, self.identity_network, self.detector
        self.running = load_networks(runtime, *networks, self.alignment.crop_size, self.parser)
        self._scrfd = open_detector(detector)

    def detect(self, photo: np.ndarray, min_score: float = DEFAULT_OPTIONS.min_score) -> list[Face]:
        """Faces of a photo ([H, W, 3] uint8 RGB), largest first."""
        options = SwapOptions(min_score=min_score)
        return self.detect_batch([checked_frame(photo)], options)[0]

    @naming_memory()
    def detect_batch(self, frames: Sequence[np.ndarray], options: SwapOptions) -> list[list[Face]]:
        """Faces of each frame, largest first."""
        limits = {"min_score": options.min_score, "min_face": options.min_face}
        if self._scrfd is not None:
            return self._scrfd.detect_faces(frames, **limits)
        return detect_faces(self.running.detector, frames, **limits)

    @naming_memory()
    @torch.inference_mode()
    def embed(self, frame: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """Identity embeddings of at least one face of a frame: [N, 512] float32, unit norm."""
        template = self.alignment.identity_template
        crops = [align_face(frame, face, template, INPUT_SIZE).crop for face in faces]
        batches = crop_batches(crops, self.device)
        return finite([embed_identity(self.running.identity, batch) for batch in batches])

    def in_torch(self) -> Self:
        """The same model, run by torch in float32: what any other way is measured by."""
        plain = copy.copy(self)
        plain.running = Networks(
            TorchNetwork(self.generator),
            TorchNetwork(self.identity_network),
            DetectorNetworks.in_torch(self.detector),
            TorchNetwork(self.parser) if self.parser else None,
        )
        return plain

    def read_watermarks(self, photo: np.ndarray) -> list[WatermarkReading]:
        """Watermarks on the faces of a photo ([H, W, 3] uint8 RGB); empty if none has one."""
        return read_faces(checked_frame(photo), self.detect(photo)[: selection.MAX_FACES])

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
        """Swap frame after frame; one result for each, in order.

        frames: [H, W, 3] uint8 RGB each. A frame without a face to swap passes through as it is,
        with `swapped` empty.
        source, options: if not everybody gets one face, people are told apart as the frames come:
            they are numbered as they appear, and "largest" is who has been so of late. Or a Cast
            says who of the tracks in `known` becomes whom.
        batch_size: frames held at once; None is 1 on a CPU, 8 on a GPU.
        stream: whether faces are followed and held steady from frame to frame, and by how many
            workers frames are swapped; the default looks for faces in every frame.
        known: the faces of each frame, where they were found before.
        """
        if batch_size is None:
            batch_size = FRAME_BATCH.get(self.device.type, 1)
        if batch_size < 1:
            raise OptionError(f"batch_size={batch_size} must be at least 1.")

        def plan(
            batch: Sequence[np.ndarray],
            faces: Sequence[Sequence[Face]],
            casts: Sequence[Cast | None],
        ) -> list[SwapPlan]:
            found = zip(batch, faces, casts, strict=True)
            plans = [self.plan(frame, ones, cast or source, options) for frame, ones, cast in found]
            return self.with_covers(batch, plans, options) if stream.steady else plans

        cast_next = None
        if not isinstance(source, Cast) and selection.needs_tracks(source, options):
            cast_next = StreamCast(self.embed, source, options).next
        detect = partial(self.detect_batch, options=options)
        render = partial(self.render, options=options, steady=stream.steady)
        steps = FrameStream(detect, plan, render, stream, batch_size, cast_next)
        return steps.results(map(checked_frame, frames), known)

    def find_faces(
        self, frames: Iterable[np.ndarray], options: SwapOptions, stream: StreamOptions
    ) -> Iterator[tuple[np.ndarray, list[Face]]]:
        """Each frame with its faces (largest first), found as swap_frames finds them."""
        detect = partial(self.detect_batch, options=options)
        batch_size = FRAME_BATCH.get(self.device.type, 1)
        steps = FrameStream(detect, lambda *_: [], lambda *_: [], stream, batch_size)
        return steps.found(map(checked_frame, frames))

    def swap_live(
        self,
        frames: Iterable[np.ndarray],
        source: Source,
        options: SwapOptions = DEFAULT_OPTIONS,
        *,
        detect_every: int = LIVE_DETECT_EVERY,
    ) -> Iterator[SwapResult]:
        """Swap a camera's frames: each is answered before the next is taken.

        frames, source, options: as for swap_frames. detect_every: frames; in those between, faces
        are followed and their own embeddings held. People are told apart as for swap_frames.
        """
        check_range("detect_every", detect_every, 1, 100)
        follower = LiveFollower(partial(self.detect_batch, options=options), detect_every)
        held = HeldEmbeddings(self.embed, detect_every)
        is_choice = selection.needs_tracks(source, options)
        people = StreamCast(self.embed, source, options) if is_choice else None
        for frame in map(checked_frame, frames):
            faces, cast = follower.faces_in(frame), source
            if people is not None:
                faces, cast = people.next(frame, faces)
            plan = self.plan(frame, faces, cast, options, held.of)
            yield self.render([frame], [plan], options, steady=True)[0]

    def warm_up(self) -> None:
        """Run every network once, so that the first swap does not pay for one-time set-up."""
        frame = np.full((720, 1280, 3), 128, np.uint8)
        self.detect(frame)
        landmarks = geometry.frontal_template(self.alignment.crop_template) * 300  # px
        face = Face(np.array([0, 0, 300, 300], np.float32), landmarks.astype(np.float32), 1.0)
        plan = SwapPlan((face,), {0: Identity(self.embed(frame, [face])[0])})
        self.render([frame], [plan], DEFAULT_OPTIONS)

    def plan(
        self,
        frame: np.ndarray,
        faces: Sequence[Face],
        source: Source | Cast,
        options: SwapOptions,
        embed: Embed | None = None,
    ) -> SwapPlan:
        """Decide which faces of a frame (largest first) get which identity.

        source: a Cast for faces with track numbers; else `options.faces` are numbers in the frame.
        embed: what gives the embeddings of a frame's faces; None: each is taken by itself.
        """
        cast = source.of_faces(faces) if isinstance(source, Cast) else None
        chosen = selection.choose_faces(faces, options) if cast is None else tuple(cast)
        too_many = selection.left_out(faces, options) if len(faces) > selection.MAX_FACES else ()
        guidance = self.generator.config.identity_guidance
        if isinstance(source, Identity):
            cast = dict.fromkeys(chosen, source)
        is_plain = not guidance and options.likeness >= 1 and self.hair is None
        if not chosen or (cast is not None and is_plain):
            return SwapPlan(tuple(faces), cast or {}, too_many)
        embeddings = (embed or self.embed)(frame, [faces[index] for index in chosen])
        notices: tuple[str, ...] = ()
        if cast is None:
            matched, notices = selection.match_people(embeddings, chosen, source)
            cast = {index: source[role].identity for index, role in matched.items()}
        identities = {
            index: selection.for_target(cast[index], own, guidance, options.likeness, self.hair)
            for index, own in zip(chosen, embeddings, strict=True)
            if index in cast
        }
        return SwapPlan(tuple(faces), identities, (*too_many, *notices))

    def with_covers(
        self, frames: Sequence[np.ndarray], plans: Sequence[SwapPlan], options: SwapOptions
    ) -> list[SwapPlan]:
        """The plans, with what covers each face that gets an identity."""
        found = []
        for plan, faces in zip(plans, map(self._aligned, frames, plans), strict=True):
            covers = find_covers(self.running.parser, faces, options) if faces else ()
            found.append(replace(plan, covers=dict(zip(plan.identities, covers, strict=True))))
        return found

    @naming_memory()
    def render(
        self,
        frames: Sequence[np.ndarray],
        plans: Sequence[SwapPlan],
        options: SwapOptions,
        steady: bool = False,
    ) -> list[SwapResult]:
        """Carry out the plans: swapped crops of all frames, batch by batch, pasted as they come.

        frames: [H, W, 3] uint8 RGB each, one for each plan; steady: see watermark_crop.
        """
        aligned = list(map(self._aligned, frames, plans))
        if any(plan.covers is None for plan in plans):
            plans = self.with_covers(frames, plans, options)
        # Of each frame the last face first, as they are pasted.
        in_turn = list(chain.from_iterable(map(reversed, aligned)))
        given = [one.embedding for plan in plans for one in reversed(plan.identities.values())]
        crops = generate_in_turn(self.running.generator, in_turn, given, options.once_more)
        results = []
        for frame, plan, faces in zip(frames, plans, aligned, strict=True):
            if not faces:
                results.append(SwapResult(frame, plan.faces, (), plan.notices))
                continue
            swapped, notices = tuple(plan.identities), plan.notices
            symbols = self.watermark_symbols if options.watermark else None
            covers = list(plan.covers.values())
            image, marked = paste_faces(frame, faces, crops, options, symbols, covers, steady)
            if options.watermark and len(marked) < len(faces):
                notices += (too_small(len(faces) - len(marked)),)
            if options.label:
                image = with_label(image)
            marks = tuple(swapped[i] for i in marked)
            results.append(SwapResult(image, plan.faces, swapped, notices, marks))
        return results

    def _aligned(self, frame: np.ndarray, plan: SwapPlan) -> list[AlignedFace]:
        """The faces that get an identity."""
        template, size = self.alignment.crop_template, self.alignment.crop_size
        return [align_face(frame, plan.faces[i], template, size) for i in plan.identities]
