"""One row of a data set: which columns it has, what stands in them, and the photo decoded."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from simswap.errors import MediaError
from simswap.media.decoding import decode_photo as decode_bytes
from simswap.media.photos import MAX_FILE_BYTES
from train.errors import CorruptPhotoError, TrainingError

LANDMARKS_SHAPE = (5, 2)
NUM_HASHES = 2**63
MAX_JSON = 1_000_000  # characters; what is longer is none
MAX_IDENTITY = 200  # characters; of a longer one its digest is taken
MIN_EXTENT = 2  # px between the outermost landmarks; many sets write zeros where they found no face


@dataclass(frozen=True)
class Columns:
    """Names in the data set; a dotted path reaches into a webdataset's json ("json.identity")."""

    image: str = "image"
    identity: str = "identity"
    landmarks: str = "landmarks"


@dataclass(frozen=True, eq=False)
class PhotoRow:
    """One row of a data set, not decoded.

    image: the encoded file; empty if the row has none.
    identity: None: unlabelled, the photo is its own identity.
    landmarks: [5, 2] float32, pixels of the upright image, or None.
    name: where it stands, for messages: "shard 3 (train-00003.parquet), row 17", rows from 0.
    """

    image: bytes
    identity: str | None
    landmarks: np.ndarray | None
    name: str

    @property
    def person_hash(self) -> int:
        """Below NUM_HASHES, the same on every machine; one for all photos of a person."""
        text = f"identity {self.identity}" if self.identity is not None else f"photo {self.name}"
        return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def decode_photo(row: PhotoRow) -> np.ndarray:
    """A row's photo, upright: uint8 [H, W, 3] RGB.

    Raises CorruptPhotoError for a file that is missing, damaged, of another format, or has more
    pixels (50 million) or fewer (16 a side) than a photo of a face.
    """
    if not row.image:
        raise CorruptPhotoError(f"{row.name}: the row holds no photo.")
    try:
        return decode_bytes(row.image, "the photo").image
    except MediaError as error:
        raise CorruptPhotoError(f"{row.name}: {error}") from error


def to_photo_row(
    record: Mapping[str, object],
    columns: Columns,
    features: Mapping[str, object],
    name: str,
    repository: str | None = None,
) -> PhotoRow:
    """What the columns of one record hold.

    features: the data set's, of which ClassLabel turns numbers into names. repository: of the Hub,
    "user/name", in which a row may name its photo.
    Raises TrainingError if the landmarks are not 5 x (x, y).
    """
    identity = _value_at(record, columns.identity)
    return PhotoRow(
        _image_bytes(_value_at(record, columns.image), repository),
        _identity_text(identity, features.get(columns.identity)),
        _landmarks(_value_at(record, columns.landmarks), name),
        name,
    )


def column_of(path: str, names: Sequence[str]) -> str | None:
    """The column that a dotted path begins with, or None; a column's own name may hold dots."""
    found = [name for name in names if path == name or path.startswith(name + ".")]
    return max(found, key=len, default=None)


def _value_at(record: Mapping[str, object], path: str) -> object:
    """What stands at a dotted path in a row, None where it ends early."""
    column = column_of(path, tuple(record))
    if column is None:
        return None
    value = record[column]
    for key in path[len(column) + 1 :].split(".") if path != column else []:
        if isinstance(value, str | bytes):  # json that came as text
            try:
                value = json.loads(value[:MAX_JSON])
            except (ValueError, RecursionError):
                return None
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _image_bytes(value: object, repository: str | None) -> bytes:
    """The encoded file; b"" if there is none."""
    path = None
    if isinstance(value, Mapping):
        value, path = value.get("bytes"), value.get("path")
    if isinstance(value, bytes):
        return value[:MAX_FILE_BYTES]
    if isinstance(path, str) and _is_of(repository, path):
        from datasets.utils.file_utils import xopen

        with xopen(path, "rb") as file:
            return file.read(MAX_FILE_BYTES)
    return b""


def _is_of(repository: str | None, path: str) -> bool:
    """Whether a row's path names a file of its own repository.

    Nothing local; no other repository, which the caller's token may open to nobody else; nothing in
    an archive, whose table would be read as a whole.
    """
    own = (f"hf://datasets/{repository}@", f"hf://datasets/{repository}/")
    is_own = repository is not None and path.startswith(own)
    return is_own and "::" not in path and ".." not in path.split("/")


def _identity_text(value: object, feature: object) -> str | None:
    from datasets import ClassLabel

    if isinstance(feature, ClassLabel) and isinstance(value, int):
        return feature.int2str(value) if value >= 0 else None
    if isinstance(value, float):  # a whole number, if nulls made its column one of floats
        value = int(value) if value.is_integer() else None
    text = None if value is None or value == "" else str(value)
    if text is not None and len(text) > MAX_IDENTITY:  # each photo that is held holds its own
        return blake2b(text.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return text


def _landmarks(value: object, name: str) -> np.ndarray | None:
    """[5, 2] float32; None where there are none: nothing, NaN, or one place for all of them."""
    if value is None:
        return None
    try:
        landmarks = np.asarray(value, np.float32)
    except (TypeError, ValueError, OverflowError) as error:
        raise TrainingError(f"{name}: the landmarks are no numbers, 5 x (x, y).") from error
    if landmarks.size == 0:
        return None
    if landmarks.shape != LANDMARKS_SHAPE:
        raise TrainingError(
            f"{name}: the landmarks have the shape {landmarks.shape}, expected 5 x (x, y): left "
            "eye, right eye, nose, left and right mouth corner in pixels of the photo."
        )
    is_face = np.isfinite(landmarks).all() and np.ptp(landmarks, axis=0).max() >= MIN_EXTENT
    return landmarks if is_face else None
