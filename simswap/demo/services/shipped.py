"""The examples that this demo ships or makes, whose people need not be asked for again."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image

from simswap import OptionError
from simswap.demo.services.uploads import upload_folder, uploaded_file
from simswap.files import replaced
from simswap.video.output.writing import Encoding

FOLDER = Path(__file__).parents[3] / "assets" / "examples"
# Names of the source and the target: pairs on which the bundled model does well (a target with
# glasses is not among them).
PAIRS = (
    ("grace_hopper.jpg", "astronaut.jpg"),
    ("astronaut.jpg", "mona_lisa.jpg"),
    ("grace_hopper.jpg", "mona_lisa.jpg"),
)

# The example video comes nearer to the first target: from one part of the photo to the other (left,
# top, right, bottom, in pixels). So it is two seconds long and cheap to swap.
VIEWS = np.array([(0, 0, 512, 512), (40, 0, 424, 384)])
SIDE, RATE, NUM_FRAMES = 480, 24, 48


def copies(number: object) -> tuple[list[str], str]:
    """The source photos and the target photo of an example, copied to where uploads are.

    Raises OptionError if there is no such example.
    """
    if type(number) is not int or not 0 <= number < len(PAIRS):
        raise OptionError(f"There is no such example; they are numbered 0 to {len(PAIRS) - 1}.")
    source, target = PAIRS[number]
    return [_copy(source)], _copy(target)


def copied_source() -> list[str]:
    """The photos of the first example's person, copied to where uploads are."""
    return [_copy(PAIRS[0][0])]


def copied_clip() -> str:
    """The example video, written to where uploads are."""
    return _served(Path(PAIRS[0][1]).with_suffix(".mp4").name, _clip())


def are_shipped(paths: list[str]) -> bool:
    """Whether uploads are the examples, byte for byte; their names tell nothing.

    Raises MediaError as `uploaded_file` does.
    """
    return bool(paths) and all(_is_shipped(uploaded_file(path)) for path in paths)


def _copy(name: str) -> str:
    return _served(name, (FOLDER / name).read_bytes())


def _served(name: str, content: bytes) -> str:
    """A file where uploads are, at one place: who taps once more changes nothing by that."""
    folder = upload_folder() / f"example-{_digest(content)[:16]}"
    folder.mkdir(exist_ok=True)
    with replaced(folder / name) as part:
        part.write_bytes(content)
    return str(folder / name)


def _is_shipped(path: Path) -> bool:
    digest = _digests().get(path.stat().st_size)  # a large upload is not read
    return digest is not None and _digest(path.read_bytes()) == digest


@cache
def _digests() -> dict[int, str]:
    """Of the shipped photos and the clip by their size in bytes, which differ."""
    contents = [_clip(), *(photo.read_bytes() for photo in FOLDER.glob("*.jpg"))]
    return {len(content): _digest(content) for content in contents}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@cache
def _clip() -> bytes:
    """The example video, an MP4: the same bytes however often it is made."""
    file = io.BytesIO()
    with Image.open(FOLDER / PAIRS[0][1]) as photo, av.open(file, "w", format="mp4") as container:
        options = Encoding().options(SIDE, SIDE)
        stream = container.add_stream("libx264", rate=RATE, options=options)
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for share in np.linspace(0, 1, NUM_FRAMES):
            slow = (1 - np.cos(share * np.pi)) / 2  # at both ends
            view = (1 - slow) * VIEWS[0] + slow * VIEWS[1]
            frame = photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC, tuple(view))
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return file.getvalue()
