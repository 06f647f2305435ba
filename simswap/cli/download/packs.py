"""Face detectors of others that the user asked for, whole and checked by their sha256.

Not by insightface's own download, which checks nothing and may wait forever.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path

from simswap.cli.download.fetching import CHUNK, fetch
from simswap.errors import ModelError
from simswap.files import fresh_folder


@dataclass(frozen=True)
class Pack:
    """An insightface pack that can be fetched."""

    name: str
    url: str
    num_bytes: int
    sha256: str
    licence: str


PACKS = {
    "buffalo_l": Pack(
        "buffalo_l",
        "https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip",
        288_621_354,
        "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f",
        "The models of insightface are for non-commercial research purposes only "
        "(https://github.com/deepinsight/insightface#license).",
    )
}


def fetch_pack(pack: Pack, folder: Path) -> Path:
    """Download and unpack into folder/name, as insightface lays packs out; gives that folder.

    Raises ModelError: no network, another file than was expected, or no room.
    """
    target = folder / pack.name
    if any(target.glob("*.onnx")):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with fresh_folder(target) as fresh:
            archive = fresh / "archive.zip"
            _fetch(pack, archive)
            _unpack(archive, fresh)
            archive.unlink()
            if target.is_dir():
                target.rmdir()  # it stays, and that is told, if anything is in it
            fresh.rename(target)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return target


def _fetch(pack: Pack, archive: Path) -> None:
    sha256, have = fetch(pack.url, archive, pack.num_bytes)
    if sha256 != pack.sha256:
        raise ModelError(
            f"{pack.url} is another file than expected: it has {have} bytes, not "
            f"{pack.num_bytes}, or another sha256 than {pack.sha256[:12]}.... Try again later."
        )


def _unpack(archive: Path, folder: Path) -> None:
    """The archive's networks, whatever folder they lie in there; nothing else is written."""
    try:
        with zipfile.ZipFile(archive) as files:
            for entry in files.infolist():
                name = Path(entry.filename).name
                if name.endswith(".onnx"):
                    with files.open(entry) as source, (folder / name).open("wb") as file:
                        shutil.copyfileobj(source, file, CHUNK)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{archive} is damaged ({error}). Try again later.") from error
