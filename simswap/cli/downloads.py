"""Fetches packs that the user asked for: with progress, resumed where it broke off, checked."""

from __future__ import annotations

import hashlib
import os
import shutil
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from simswap.errors import ModelError
from simswap.files import fresh_folder, lasting_beside

CHUNK = 2**20  # bytes
TIMEOUT = 30  # s without a byte
OnProgress = Callable[[int, int], None]  # bytes so far, bytes in all


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


def fetch_pack(pack: Pack, folder: Path, on_progress: OnProgress) -> Path:
    """Download and unpack into folder/name, as insightface lays packs out; gives that folder.

    What was fetched before an interruption is kept and gone on with.
    Raises ModelError: no network, another file than was expected, or no room.
    """
    target = folder / pack.name
    if any(target.glob("*.onnx")):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Never a name that a user's own download has.
        archive = lasting_beside(target, "simswap-archive")
        fetch(pack.url, archive, pack.num_bytes, pack.sha256, on_progress)
        _unpack(archive, target)
        archive.unlink()
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {error.strerror or error}.") from error
    return target


def fetch(url: str, path: Path, num_bytes: int, sha256: str, on_progress: OnProgress) -> None:
    """Download to `path`, which appears only when whole and right.

    Raises ModelError if the server cannot be reached, breaks off, or has another file.
    """
    part = lasting_beside(path, "simswap-part")
    if part.is_file() and part.stat().st_size > num_bytes:
        part.unlink()
    try:
        if not part.is_file() or part.stat().st_size < num_bytes:
            _fetch_rest(url, part, num_bytes, on_progress)
    except urllib.error.HTTPError as error:
        raise ModelError(f"{url} was not given: status {error.code}. Try again later.") from error
    except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error or type(error).__name__
        raise ModelError(
            f"{url} could not be fetched ({reason}). Check the network; run the same command again "
            "to go on where it stopped."
        ) from error
    if part.stat().st_size < num_bytes:
        raise ModelError(
            f"{url} broke off after {part.stat().st_size} of {num_bytes} bytes. Run the same "
            "command again to go on."
        )
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        part.unlink()
        raise ModelError(
            f"{url} is another file than expected: its sha256 is {found[:12]}..., not "
            f"{sha256[:12]}.... It was deleted."
        )
    os.replace(part, path)


def _fetch_rest(url: str, part: Path, num_bytes: int, on_progress: OnProgress) -> None:
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"User-Agent": "simswap"})
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        is_rest = answer.status == 206  # 200: the server begins anew
        with part.open("ab" if is_rest else "wb") as file:
            _copy(answer, file, have if is_rest else 0, num_bytes, on_progress)


def _copy(
    answer: HTTPResponse, file: object, have: int, num_bytes: int, on_progress: OnProgress
) -> None:
    while have <= num_bytes and (chunk := answer.read(CHUNK)):
        file.write(chunk)
        have += len(chunk)
        on_progress(have, num_bytes)


def _unpack(archive: Path, target: Path) -> None:
    """The archive's networks, whatever folder they lie in there; nothing else is written."""
    try:
        with fresh_folder(target) as fresh, zipfile.ZipFile(archive) as files:
            for entry in files.infolist():
                name = Path(entry.filename).name
                if name.endswith(".onnx"):
                    with files.open(entry) as source, (fresh / name).open("wb") as file:
                        shutil.copyfileobj(source, file, CHUNK)
            if target.is_dir():
                target.rmdir()  # it stays, and that is told, if anything is in it
            fresh.rename(target)
    except zipfile.BadZipFile as error:
        raise ModelError(f"{archive} is damaged ({error}). Delete it and try again.") from error
