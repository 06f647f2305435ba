"""The stages of a photo swap, and how long each takes: as it is, and by torch in float32."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from simswap.media.photos import read_photo, write_photo
from simswap.provenance.signing import sign_photo
from simswap.swap.rendering import AlignedFace, align_face, fit_crop, generate, paste_faces
from simswap.swapper import FaceSwapper
from simswap.types import Face, Identity, SwapOptions
from simswap.watermark.embedding import watermark_crop

WARM_UP_RUNS = 3
EMBED_TARGETS, EMBED_SOURCE = "embed the target's faces", "embed a source face"
GENERATE, SWAP = "generate", "swap"

Result = TypeVar("Result")
Step = Callable[[], object]


def swap_steps(
    swapper: FaceSwapper, photo: np.ndarray, faces: list[Face], identity: Identity
) -> dict[str, Step]:
    """Parts of one swap of a photo's faces, in order; then what is not a part.

    EMBED_SOURCE is once for a source, SWAP is all of a swap.
    """
    alignment, options = swapper.alignment, SwapOptions()

    def align() -> list[AlignedFace]:
        template, size = alignment.crop_template, alignment.crop_size
        return [align_face(photo, face, template, size) for face in faces]

    guidance = swapper.generator.config.identity_guidance
    aligned = align()
    embeddings = np.repeat(identity.embedding[None], len(faces), axis=0)
    crops = generate(swapper.running.generator, aligned, embeddings)
    pairs = zip(aligned, crops, strict=True)
    unmarked = [fit_crop(photo, face, crop, options)[1] for face, crop in pairs]

    def watermark() -> list[np.ndarray]:
        return [watermark_crop(face, swapper.watermark_symbols) for face in unmarked]

    return {
        "detect": lambda: swapper.detect(photo),
        "align": align,
        **({EMBED_TARGETS: lambda: swapper.embed(photo, faces)} if guidance else {}),
        GENERATE: lambda: generate(swapper.running.generator, aligned, embeddings),
        "watermark": watermark,
        "paste": lambda: paste_faces(photo, aligned, crops[::-1], options),
        EMBED_SOURCE: lambda: swapper.embed(photo, faces[:1]),
        SWAP: lambda: swapper.swap_image(photo, identity),
    }


def writing_times(photo: np.ndarray, model: str, repeats: int) -> dict[str, float]:
    """Milliseconds of what comes after a swap."""
    with tempfile.TemporaryDirectory() as folder:
        target, output = Path(folder, "target.png"), Path(folder, "out.png")
        Image.fromarray(photo).save(target)  # in few large chunks, as write_photo does it
        encoded, like = target.read_bytes(), read_photo(target)
        steps: dict[str, Step] = {
            "sign a PNG": lambda: sign_photo(encoded, ".png", model, target),
            "write a signed PNG": lambda: write_photo(output, photo, like=like, model=model),
        }
        return {name: medians((step,), repeats)[0] for name, step in steps.items()}


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Milliseconds, and the result; a stage ends on the CPU, so a GPU's work is waited for."""
    started = time.perf_counter()
    result = work()
    return (time.perf_counter() - started) * 1000, result


def medians(ways: Sequence[Step], repeats: int) -> list[float]:
    """Milliseconds of ways to do a thing, taken in turns: what slows the machine slows all."""
    for _ in range(WARM_UP_RUNS):
        for work in ways:
            work()
    rounds = [[timed(work)[0] for work in ways] for _ in range(repeats)]
    return [statistics.median(times) for times in zip(*rounds, strict=True)]
