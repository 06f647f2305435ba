"""What a data source's text names: a Hub data set, shard files anywhere, or a folder of photos."""

from __future__ import annotations

import glob
import itertools
import logging
import os
import re
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from train.errors import TrainingError

logger = logging.getLogger(__name__)

PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".webp", ".avif", ".heic", ".heif", ".bmp", ".tif", ".tiff", ".gif"),
)
SHARD_SUFFIXES = {".parquet": "parquet", ".tar": "webdataset"}
_MAX_NAME = 10_000  # bytes of a member's name, or of what else a tar tells beside its content
_NAMES = {
    *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.SOLARIS_XHDTYPE),
    *(tarfile.XHDTYPE, tarfile.XGLTYPE),
}
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
_KINDS = (
    "Give a Hub data set (user/name), a folder or pattern of .parquet or .tar shards, "
    "http(s):// or hf:// addresses of such, or a folder of photos."
)

Kind = Literal["hub", "parquet", "webdataset", "folder"]


@dataclass(frozen=True)
class Files:
    """What there is to read.

    kind: "hub": `paths` is one data set id; "folder": paths of photos below `root`; else shards.
    paths: in a fixed order, since a position in the data counts on it.
    """

    kind: Kind
    paths: tuple[str, ...]
    root: str = ""


class ModestMember(tarfile.TarInfo):
    """A member of a tar; its name, which Python reads as a whole, may not be of any length."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _NAMES and self.size > _MAX_NAME:
            raise tarfile.ReadError(f"a name in it has {self.size} bytes")
        return super()._proc_member(archive)


def find_files(source: str) -> Files:
    """The files that `source` names.

    source: a folder, a file, a glob or brace pattern, an http(s):// or hf:// address, several of
        these separated by commas, or the id of a data set on the Hub.
    Raises TrainingError if there is no such thing; nothing is downloaded to find out.
    """
    if not source.strip():
        raise TrainingError(f"The data source is empty. {_KINDS}")
    if Path(source).expanduser().is_dir():
        return _in_folder(Path(source).expanduser())
    if _HUB_ID.fullmatch(source) and _shard_kind(source) is None:
        return Files("hub", (source,))
    patterns = [one.strip() for one in split_at_commas(source) if one.strip()]
    spelled = itertools.chain.from_iterable(expand_braces(pattern) for pattern in patterns)
    paths = list(itertools.chain.from_iterable(_matches(pattern) for pattern in spelled))
    kinds = {_shard_kind(path) for path in paths}
    if len(kinds) != 1 or None in kinds:
        raise TrainingError(
            f"The data source {source!r} is neither only .parquet nor only .tar files "
            f"(first: {paths[0]}). {_KINDS}"
        )
    (kind,) = kinds
    _check_local(paths, kind)
    return Files(kind, tuple(paths))


def split_at_commas(text: str) -> list[str]:
    """Parts of `text` between commas that are outside of braces."""
    return re.split(r",(?![^{]*\})", text)


def expand_braces(pattern: str) -> list[str]:
    """`{a,b}` and `{000..015}` spelled out, from left to right, leading zeros kept."""
    found = re.search(r"\{([^{}]*)\}", pattern)
    if found is None:
        return [pattern]
    numbers = re.fullmatch(r"(\d+)\.\.(\d+)", found[1])
    if numbers:
        first, last = numbers.groups()
        choices = [str(n).zfill(len(first)) for n in range(int(first), int(last) + 1)]
    else:
        choices = found[1].split(",")
    before, after = pattern[: found.start()], pattern[found.end() :]
    rest = expand_braces(after)
    return [before + choice + tail for choice in choices for tail in rest]


def _in_folder(folder: Path) -> Files:
    """Shards of one kind, or photos, anywhere below a folder; hidden names are not looked at.

    Links to folders and photos are not followed: two to "." never end, and what they lead to
    elsewhere would be published with the set. Links to shards are, as the Hub's cache has them.
    """
    found: dict[str, list[str]] = {"parquet": [], "webdataset": [], "folder": []}
    num_links = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        num_links += sum(os.path.islink(os.path.join(parent, name)) for name in folders)
        for name in sorted(names):
            path = os.path.join(parent, name)
            kind = "folder" if name.lower().endswith(PHOTO_SUFFIXES) else _shard_kind(name)
            if kind == "folder" and os.path.islink(path):
                num_links += 1
            elif kind is not None and not name.startswith("."):
                found[kind].append(path)
    if num_links:
        logger.warning(
            "%s: %d links to photos or folders are not followed. Copy what they lead to into the "
            "folder, or name those folders themselves.",
            folder,
            num_links,
        )
    for kind, paths in found.items():
        if paths:
            _check_local(paths, kind)
            return Files(kind, tuple(paths), str(folder))
    raise TrainingError(f"The folder {folder} holds no .parquet or .tar shard and no photo.")


def _matches(pattern: str) -> list[str]:
    """Files for one pattern without braces."""
    if pattern.startswith("hf://") and glob.has_magic(pattern):
        paths = _hub_matches(pattern)
    elif "://" in pattern:
        if glob.has_magic(pattern.split("?")[0]):
            raise TrainingError(
                f"{pattern}: a web server cannot list its files, so * does not work there. "
                "Name them with braces, as in train-{00000..00015}.parquet."
            )
        return [pattern]
    elif "**" in pattern:  # which follows links without end
        raise TrainingError(f"{pattern}: ** is not used here. Name the folder; all below is read.")
    else:
        paths = sorted(glob.glob(str(Path(pattern).expanduser())))
    if paths:
        return paths
    if glob.has_magic(pattern) or _shard_kind(pattern) is not None:
        raise TrainingError(f"No file matches {pattern!r}. Check the path.")
    raise TrainingError(f"There is no folder {pattern!r}, and it is no Hub id either. {_KINDS}")


def _hub_matches(pattern: str) -> list[str]:
    from huggingface_hub import HfFileSystem
    from huggingface_hub.errors import HTTPError

    try:
        return [f"hf://{path}" for path in sorted(HfFileSystem().glob(pattern))]
    except (OSError, ValueError, HTTPError) as error:
        reason = str(error).splitlines()[0] if str(error) else "not found"
        raise TrainingError(
            f"The files {pattern} cannot be listed ({reason}). "
            "If they are private, log in with `hf auth login`."
        ) from error


def _shard_kind(path: str) -> str | None:
    name = path.split("?")[0].lower() if "://" in path else path.lower()
    kinds = [kind for suffix, kind in SHARD_SUFFIXES.items() if name.endswith(suffix)]
    return kinds[0] if kinds else None


def _check_local(paths: list[str], kind: str) -> None:
    """Raise TrainingError now for a local shard that is empty or cut off."""
    if kind == "folder":
        return
    for path in paths:
        if "://" in path:
            continue
        try:
            num_rows = _peek_parquet(path) if kind == "parquet" else _peek_tar(path)
        except (OSError, ValueError, EOFError, tarfile.TarError) as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise TrainingError(
                f"The shard {path} cannot be read: it is damaged or incomplete ({reason}). "
                "Download or write it again, or remove it."
            ) from error
        if num_rows == 0:
            raise TrainingError(f"The shard {path} is empty. Remove it or write it again.")


def _peek_parquet(path: str) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def _peek_tar(path: str) -> int:
    """1 if the archive begins with a member, 0 if it has none. A packed one is damaged to us."""
    with tarfile.open(path, "r:", tarinfo=ModestMember) as archive:
        return int(archive.next() is not None)
