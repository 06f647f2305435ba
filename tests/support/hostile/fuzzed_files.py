"""Genuine photos and videos as visitors send them, and seeded ways to spoil them."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageCms

from simswap.media.photos import Photo, write_photo
from simswap.provenance.signing import sign_video
from simswap.video.metadata_label import video_metadata
from tests.support.hostile.hostile_photos import PORTRAIT
from tests.support.media.face_videos import make_face_video
from tests.support.media.video_files import make_video, rewrite

SIDE = 160  # px, of photos
NUM_FRAMES = 5
MODEL = "fuzzed"
PHOTO_KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "avif": "AVIF", "tif": "TIFF"}
CLIPS = {
    "mp4": {},
    # As phones record: held upright, and frames at uneven times.
    "mov": {"time_base": Fraction(1, 600), "times": [0, 21, 41, 63, 80], "rotation": 90},
    "webm": {"codec": "libvpx-vp9", "sound_codec": "libopus"},
}
KINDS = (*PHOTO_KINDS, "gif", *CLIPS)
# Where lengths and counts stand: at boxes, chunks, markers and elements of these names.
_NAMES = re.compile(
    b"moov|trak|mdia|minf|stbl|stsd|stts|stsc|stsz|stco|ctts|elst|mdhd|mvhd|tkhd|hdlr|udta|meta|"
    b"mdat|uuid|avcC|esds|ftyp|iloc|iinf|infe|ipma|iprp|ipco|ispe|av1C|pitm|jumb|jumd|"
    b"IHDR|IDAT|PLTE|eXIf|iCCP|iTXt|zTXt|caBX|RIFF|VP8 |VP8X|VP8L|EXIF|XMP |ICCP|ANMF|C2PA|"
    b"Exif|II\\*\0|MM\0\\*|ICC_PROFILE|\xff[\xc0-\xdb\xdd-\xef\xfe]|"
    b"\x1a\x45\xdf\xa3|\x18\x53\x80\x67|\x16\x54\xae\x6b|\x1f\x43\xb6\x75|\x1c\x53\xbb\x6b|\x63\xa2|\xa3|"
    b"GIF89a|\x2c|\x21[\xf9\xff]",
    re.DOTALL,
)


def genuine_files(folder: Path) -> dict[str, list[bytes]]:
    """Files of each kind: plain ones that carry what cameras write, and signed, marked ones."""
    portrait = np.array(Image.open(PORTRAIT).convert("RGB"))
    image = cv2.resize(portrait, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    files = {kind: [_camera_photo(image, format)] for kind, format in PHOTO_KINDS.items()}
    files["jpg"].append(_camera_photo(image, "JPEG", progressive=True))
    files["webp"].append(_animation(image, "WEBP"))
    files["gif"] = [_animation(image, "GIF"), _animation(image[:, :, ::-1], "GIF")]
    files["tif"].append(_camera_photo(image, "TIFF", compression="tiff_lzw"))
    for kind in ("jpg", "png", "webp"):
        write_photo(folder / f"signed.{kind}", image, like=Photo(image), model=MODEL)
        files[kind].append((folder / f"signed.{kind}").read_bytes())
    for kind, recipe in CLIPS.items():
        files[kind] = [_clip(folder / f"plain.{kind}", recipe)]
    clip = make_face_video(folder / "face.mp4", portrait, NUM_FRAMES)
    rewrite(clip, folder / "signed.mp4", metadata=video_metadata(MODEL))
    sign_video(folder / "signed.mp4", MODEL, None)
    files["mp4"] += [clip.read_bytes(), (folder / "signed.mp4").read_bytes()]
    return files


def spoilt(
    files: dict[str, list[bytes]], kind: str, random: np.random.Generator
) -> tuple[str, bytes]:
    """How a file of this kind was spoilt, and what became of it."""
    content = files[kind][random.integers(len(files[kind]))]
    way = list(_WAYS)[random.integers(len(_WAYS))]
    others = files[list(files)[random.integers(len(files))]]
    other = others[random.integers(len(others))]
    return way, _WAYS[way](content, other, random)


def _cut(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    return content[: random.integers(1, len(content))]


def _bits_flipped(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    reach = _reach(len(content), random)
    for place in random.integers(0, reach, random.integers(1, 101)):
        changed[place] ^= 1 << random.integers(8)
    return bytes(changed)


def _bytes_set(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    reach = _reach(len(content), random)
    for place in random.integers(0, reach, random.integers(1, 17)):
        num = int(random.integers(1, 17))
        value = (bytes(num), b"\xff" * num, b"\x7f" * num, random.bytes(num))[random.integers(4)]
        changed[place : place + num] = value
    return bytes(changed)


def _spliced(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    """A block of another file, or of this one, is put in, or in place of another, or one is cut."""
    start, end = np.sort(random.integers(0, len(other), 2))
    place, skipped = np.sort(random.integers(0, len(content), 2))
    block = (other[start:end], content[place:skipped], b"")[random.integers(3)]
    return content[:place] + block + content[place if random.integers(2) else skipped :]


def _lengths_lied_about(content: bytes, other: bytes, random: np.random.Generator) -> bytes:
    changed = bytearray(content)
    names = [found.span() for found in _NAMES.finditer(content)]
    for _ in range(random.integers(1, 4)):
        start, end = names[random.integers(len(names))]
        size = int(random.choice([1, 2, 4, 4, 4, 8]))
        # Before a name stands a box's or a chunk's length, behind it one, or a count.
        place = start - size if random.integers(3) == 0 else end + 4 * int(random.integers(5))
        place = min(max(place, 0), len(content) - size)
        order = "big" if random.integers(3) else "little"
        told = int.from_bytes(content[place : place + size], order)
        lies = [0, 1, told + 1, told - 1, told * 2, 2 ** (8 * size - 1) - 1, 2 ** (8 * size) - 1]
        lies += [len(content), 2 ** int(random.integers(8 * size)), 20_000_000, 65_535]
        lie = lies[random.integers(len(lies))] % 2 ** (8 * size)
        changed[place : place + size] = lie.to_bytes(size, order)
    return bytes(changed)


_WAYS: dict[str, Callable[[bytes, bytes, np.random.Generator], bytes]] = {
    "cut": _cut,
    "bits flipped": _bits_flipped,
    "bytes set": _bytes_set,
    "spliced": _spliced,
    "lengths": _lengths_lied_about,
}


def _reach(length: int, random: np.random.Generator) -> int:
    """The whole file, or its head alone, where most of what it says of itself stands."""
    return min(length, (length, 64, 1024)[random.integers(3)])


def _camera_photo(image: np.ndarray, format: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = 6, "Example", "Camera"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture, encoded = Image.fromarray(image), io.BytesIO()
    picture.save(encoded, format, exif=exif, icc_profile=profile, **options)
    return encoded.getvalue()


def _animation(image: np.ndarray, format: str) -> bytes:
    pictures = [Image.fromarray(np.roll(image, 8 * n, 1)) for n in range(NUM_FRAMES)]
    encoded = io.BytesIO()
    pictures[0].save(encoded, format, save_all=True, append_images=pictures[1:], duration=40)
    return encoded.getvalue()


def _clip(path: Path, recipe: dict[str, object]) -> bytes:
    return make_video(path, num_frames=NUM_FRAMES, sound=0.2, **recipe).read_bytes()
