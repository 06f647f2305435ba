"""Files that appear whole or not at all; the only place where temporary names are made.

What is written lies beside its place, under a short random name of ours, until it is whole. So a
name as long as the file system takes can be written, and nothing but our own is ever deleted.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

HOME = "SIMSWAP_HOME"
JOB = "job"  # who owns the temporary names in the folder of a video's job
MAX_RECORD = 20_000_000  # bytes of a file that we read as a whole to parse it
MAX_NAME = 255  # bytes of a file's name, on all common file systems
_OWNERS = 0o700  # rights of a folder
_STEP = 1 << 20  # bytes that are searched in a few milliseconds
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # for somebody who writes into a pipe
_TEMPORARY = re.compile(r"\.simswap-([a-z]+-)?[0-9a-f]{12}\.part")


def data_folder(environment: Mapping[str, str] = os.environ) -> Path | None:
    """Where this program keeps what belongs to the user of this machine; it may not exist yet.

    None if the user has no home folder, as in containers, and SIMSWAP_HOME names none.
    """
    if environment.get(HOME):
        return Path(environment[HOME])
    try:
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support" / "simswap"
        if sys.platform == "win32":
            return Path(environment.get("LOCALAPPDATA") or Path.home()) / "simswap"
        data = environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
        return Path(data) / "simswap"
    except RuntimeError:
        return None


def temporary_beside(path: Path, owner: str = "") -> Path:
    """A new name in the folder of `path`, which nobody else uses.

    owner: a word in lower case, by which one that is left behind is told from all others. Beside a
        temporary file it is that one's, if none is given.
    """
    owner = owner or _owner_of(path.name) or ""
    return path.with_name(f".simswap-{owner and owner + '-'}{secrets.token_hex(6)}.part")


def is_temporary(name: str, owner: str = "") -> bool:
    """Whether `temporary_beside` makes such names; an old one is of a process that was killed."""
    return _owner_of(name) == owner


def _owner_of(name: str) -> str | None:
    """Of a temporary name; None for any other."""
    found = _TEMPORARY.fullmatch(name)
    return None if found is None else (found[1] or "").rstrip("-")


def lasting_beside(path: Path, ending: str) -> Path:
    """A name of ours for what belongs to `path` and outlives this process: the same each time.

    It tells the name of `path` where that leaves room for it.
    """
    plain = f".{path.name}.{ending}"
    if len(os.fsencode(plain)) <= MAX_NAME:
        return path.with_name(plain)
    digest = hashlib.sha256(os.fsencode(path.name)).hexdigest()
    return path.with_name(f".simswap-{digest[:12]}.{ending}")


def is_ours_alone(folder: Path) -> bool:
    """Whether this is a folder, no link, of the user's own, in which nobody else may write.

    So no link in it was put there by somebody else. Raises OSError if it is not there.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode):
        return False
    if not hasattr(os, "getuid"):  # elsewhere a user's folders are the user's own
        return True
    return found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def make_private(folder: Path) -> None:
    """Make a folder, or take one of the user's own, and let nobody else write in it from now on.

    Where the file system knows no rights, that is left out. Raises OSError.
    """
    folder.mkdir(mode=_OWNERS, exist_ok=True)
    if not hasattr(os, "getuid"):  # elsewhere a user's folders are the user's own
        return
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if os.fstat(opened).st_uid != os.getuid():
            raise PermissionError(errno.EPERM, "it belongs to somebody else")
        with suppress(OSError):
            os.fchmod(opened, _OWNERS)
    finally:
        os.close(opened)


@contextmanager
def replaced(
    path: Path,
    *,
    durable: bool = False,
    keep: bool = False,
    owner: str = "",
    follow: bool = False,
    within: Path | None = None,
) -> Iterator[Path]:
    """A name to write a file to, which takes the place of `path` at the end of the block.

    If the block raises, `path` is as it was, and what was written is gone. A link is replaced, and
    what it points to is left alone: somebody else may have put it there.

    durable: wait until the file is on the disk, so that a power cut cannot empty it.
    keep: leave a file that stands at `path` by then; what was written is gone.
    owner: see `temporary_beside`.
    follow: a link stays a link, and what it points to is replaced. For a file that a person named.
    within: a folder which nobody else can enter, where the name lies then; if that is not beside
        `path`, in a new one of that kind that is. So it is the same file that is written and then
        read, also where others may write beside `path`.
    Raises OSError where the file system refuses.
    """
    if follow:
        path = Path(os.path.realpath(path))
    with _private_room(path, within) as folder:
        part = temporary_beside(folder / path.name, owner)
        try:
            yield part
            if durable:
                _sync(part)
            if keep:
                _move_to_new(part, path)
            else:
                part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _private_room(path: Path, within: Path | None) -> Iterator[Path]:
    if within is None:
        yield path.parent
    elif _are_beside(within, path):
        yield within
    else:
        with fresh_folder(path, _OWNERS) as folder:
            yield folder


def _are_beside(folder: Path, path: Path) -> bool:
    """Whether a file can be moved from a folder to `path`: elsewhere another disk may begin."""
    is_here = os.path.samefile(folder.parent, path.parent)
    return is_here and folder.stat().st_dev == path.parent.stat().st_dev


def write_whole(path: Path, content: bytes, *, follow: bool = False) -> None:
    """Write a file; see `replaced`."""
    with replaced(path, follow=follow) as part:
        part.write_bytes(content)


def write_private(path: Path, content: bytes, *, keep: bool) -> None:
    """Write a file of the user's data folder for its owner's eyes only, whole at once.

    keep: leave a file that another process has put there. Raises OSError.
    """
    path.parent.mkdir(mode=_OWNERS, parents=True, exist_ok=True)
    with replaced(path, durable=True, keep=keep, follow=True) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)


@contextmanager
def fresh_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """A new folder beside `path`, to fill and move; what is left of it at the end is removed."""
    folder = temporary_beside(path)
    folder.mkdir(mode)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def read_beginning(path: Path, most: int) -> bytes:
    """The first bytes of a file. Raises OSError for a device or a pipe, which may never end."""
    with os.fdopen(os.open(path, os.O_RDONLY | _NO_WAIT), "rb") as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file")
        return stream.read(most)


def read_record(
    path: Path, most: int = MAX_RECORD, parse: Callable[[str], object] = json.loads
) -> object:
    """What a JSON file holds, or a file of another form that `parse` reads.

    most: bytes that it may have. Raises OSError if it cannot be read or is no file, and ValueError
    for whatever is wrong with its content.
    """
    content = read_beginning(path, most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most / 1e6:g} MB")
    try:
        return parse(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("it nests without end") from error


def sha256_of(path: Path) -> str:
    """Of a file's bytes, as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def search(pattern: re.Pattern[bytes], data: bytes, position: int = 0) -> re.Match[bytes] | None:
    """As `pattern.search` in a file's bytes, for patterns of up to four.

    It looks in steps: within one, no other thread of the process gets its turn.
    """
    steps = range(position, len(data), _STEP)
    return next(filter(None, (pattern.search(data, at, at + _STEP + 3) for at in steps)), None)


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _move_to_new(part: Path, path: Path) -> None:
    try:
        os.link(part, path)  # unlike a rename it fails where there is a file already
    except FileExistsError:
        return
    except OSError:  # a file system without links
        part.replace(path)


def printable(text: str, limit: int = 100) -> str:
    """`text` cut to `limit` characters, with whatever could move a terminal's cursor made `?`."""
    safe = "".join(c if c.isprintable() else "?" for c in text[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."
