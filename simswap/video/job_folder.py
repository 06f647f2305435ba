"""The folder in which a video job keeps its finished parts, so that it can be interrupted.

It holds the swapped segments and a manifest of what they were made with: hashes and numbers, never
a face, an embedding or a file's name. No link in it is followed. A segment counts only once its own
small record stands beside it, which is written last; so power may fail at any moment. Where people
are told apart, it also holds where faces are in each segment, as far as that has been looked at,
and, when all has been, who is who.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np

from simswap.errors import MediaError, OptionError
from simswap.files import JOB, is_temporary, make_private, printable, read_record, replaced
from simswap.video.job_seal import is_same, seal_of, seal_of_part
from simswap.video.segments import SegmentRecord

try:
    import fcntl
except ImportError:  # Windows: two jobs in one folder are then the caller's to avoid
    fcntl = None

_MANIFEST = "simswap-job.json"
_LOCK = "simswap-job.lock"
_OWN = "This folder was made by a video job, which removes it at its end.\n"  # in the lock's file
_SEGMENT = re.compile(r"segment-[0-9]{5,}\.(nut|json)|faces-[0-9]{5,}\.npy")
_FACES = "faces-*.npy"
_PEOPLE = "simswap-people.json"
_MAX_PEOPLE = 4_000_000  # bytes
# What reading raises of a part that a job did not write; for one without end, MemoryError.
_DAMAGE = (OSError, EOFError, ValueError, TypeError, LookupError, MemoryError, RecursionError)
_FORMAT = "simswap-job-1"
_SEAL = "seal"
_MAX_MANIFEST = 100_000  # bytes
_MAX_RECORD = 10_000  # bytes
# A link is not followed, a pipe not waited for; Windows knows neither flag.
_LOCK_FLAGS = os.O_WRONLY | os.O_CREAT
_LOCK_FLAGS |= getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
Setting = str | int | float | None


@dataclass(frozen=True)
class JobFolder:
    """A folder of one job, from `opened` until `remove`; key: of its parts' seals, see job_seal."""

    path: Path
    key: bytes = field(default=b"", repr=False)
    _known: dict[int, object] = field(default_factory=dict, compare=False, repr=False)

    def segment(self, number: int) -> Path:
        """Where a segment's video lies."""
        return self.path / f"segment-{number:05}.nut"

    def record(self, number: int) -> SegmentRecord | None:
        """What was counted in a segment; None if this job has not finished it."""
        path, values = self.segment(number), _read_object(self._record_path(number), _MAX_RECORD)
        if values is None or not _is_plain(path):
            return None
        try:
            seal, file = values.pop(_SEAL, None), path.stat()
            known = seal, file.st_ino, file.st_size, file.st_mtime_ns
            if self._known.get(number) != known:
                if not is_same(seal_of_part(self.key, number, values, path), seal):
                    return None
                self._known[number] = known
            return SegmentRecord(**values)
        except (OSError, TypeError, ValueError):
            return None

    def keep(self, number: int, record: SegmentRecord) -> None:
        """Declare a segment finished, whose file is on the disk."""
        path = self.segment(number)
        values = asdict(record) | {"size": path.stat().st_size}
        values[_SEAL] = seal_of_part(self.key, number, values, path)
        _write_durably(self._record_path(number), json.dumps(values))

    def check_parts(self, numbers: Iterable[int]) -> None:
        """Raise MediaError unless these segments are as they were when they were finished."""
        self._known.clear()
        with self.telling_damage():
            if any(self.record(number) is None for number in numbers):
                raise ValueError("a part is not this job's")

    def keep_faces(self, number: int, rows: np.ndarray) -> None:
        """Write where the faces of a segment are: a one-dimensional structured array."""
        with _writing(self._faces_path(number)) as part, part.open("wb") as stream:
            np.save(stream, rows, allow_pickle=False)

    def has_faces(self, number: int) -> bool:
        """Whether keep_faces was called for a segment."""
        return _is_plain(self._faces_path(number))

    def faces(self, number: int, row: np.dtype) -> np.ndarray:
        """What keep_faces wrote. Raises MediaError if it is damaged, or of another kind."""
        with self.telling_damage(), self._faces_path(number).open("rb") as stream:
            rows = np.lib.format.read_array(stream, allow_pickle=False)
            if rows.ndim != 1 or rows.dtype != row:
                raise ValueError(f"{rows.dtype} {rows.shape} are no faces")
            return rows

    @contextmanager
    def telling_damage(self) -> Iterator[None]:
        """Turns what goes wrong with a part's content, within the block, into a MediaError."""
        try:
            yield
        except _DAMAGE as error:
            raise MediaError(
                f"A part of the job folder {printable(str(self.path))} is damaged. Restart to "
                "begin anew."
            ) from error

    def forget_faces(self) -> None:
        """Let all segments count as not looked at."""
        for path in self.path.glob(_FACES):
            path.unlink()

    def keep_people(self, people: Mapping[str, object]) -> None:
        """Declare all segments looked at: who is who, as values for JSON."""
        _write_durably(self.path / _PEOPLE, json.dumps(people))

    def people(self) -> dict | None:
        """What keep_people wrote; None if not all segments have been looked at."""
        return _read_object(self.path / _PEOPLE, _MAX_PEOPLE)

    @contextmanager
    def opened(self, settings: Mapping[str, Setting], resume: bool) -> Iterator[None]:
        """Hold the folder for this process, made if needed, with segments of these settings only.

        resume: False begins anew. At the end it is removed if nothing in it has been finished.
        Raises OptionError if it holds a job of other settings, or of somebody else; MediaError if
        another process works in it, if it holds files but no job, or if it cannot be written.
        """
        is_new = self._make()
        with self._locked() as lock:
            if is_new:
                lock.write(_OWN)
                lock.flush()
            if not resume:
                self._remove_files()
            self._check(settings)
            try:
                yield
            finally:
                kept = ("segment-*.json", _FACES)
                is_begun = any(any(self.path.glob(name)) for name in kept)
                if not is_begun:
                    self.remove()

    def remove(self) -> None:
        """Remove the job's own files, and the folder if a job made it and nothing else is in it."""
        if not _is_folder(self.path):
            return
        self._remove_files()
        lock = self.path / _LOCK
        is_own = _is_plain(lock) and lock.stat().st_size == len(_OWN)
        lock.unlink(missing_ok=True)
        if is_own and not any(self.path.iterdir()):
            self.path.rmdir()

    def _record_path(self, number: int) -> Path:
        return self.segment(number).with_suffix(".json")

    def _faces_path(self, number: int) -> Path:
        return self.path / f"faces-{number:05}.npy"

    def _make(self) -> bool:
        """Whether there was no such folder."""
        try:
            if self.path.is_symlink():
                raise MediaError(
                    f"The job folder {printable(str(self.path))} is a link. Give the folder itself."
                )
            is_new = not self.path.is_dir()
            is_job = is_new or self._manifest() is not None
            if (foreign := None if is_job else next(self._foreign(), None)) is None:
                make_private(self.path)
        except (OSError, ValueError) as error:
            raise _unusable(self.path, error) from error
        if foreign is not None:
            raise MediaError(
                f"The job folder {printable(str(self.path))} holds other files, such as "
                f"{printable(foreign.name)}. Give an empty or a new folder."
            )
        return is_new

    @contextmanager
    def _locked(self) -> Iterator[TextIO]:
        # The system lets go of the lock when the process ends, however it ends.
        with self._lock_file() as stream:
            if fcntl is not None:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise MediaError(
                        f"The job folder {printable(str(self.path))} is in use by another process. "
                        "Wait for it, or choose another output or job folder."
                    ) from error
            yield stream

    def _check(self, settings: Mapping[str, Setting]) -> None:
        # As JSON knows them: a tuple comes back as a list.
        settings = json.loads(json.dumps({"format": _FORMAT, **settings}))
        found = self._manifest()
        if found is None:
            sealed = {**settings, _SEAL: seal_of(settings)}
            _write_durably(self.path / _MANIFEST, json.dumps(sealed, indent=1))
            return
        seal = found.pop(_SEAL, None)
        if not is_same(seal_of(found), seal):
            raise OptionError(
                f"An unfinished job lies in {printable(str(self.path))} that somebody else began, "
                "or another machine. Restart to begin anew."
            )
        if found != settings:
            names = {**settings, **found}
            differ = [name for name in names if found.get(name) != settings.get(name)]
            raise OptionError(
                f"An unfinished job lies in {printable(str(self.path))} with other settings "
                f"({printable(', '.join(differ))}). Give the same again to go on with it, or "
                "restart to begin anew."
            )

    def _manifest(self) -> dict[str, Setting] | None:
        """What a job of ours has written of itself; None where there is none."""
        found = _read_object(self.path / _MANIFEST, _MAX_MANIFEST)
        return found if found is not None and found.get("format") == _FORMAT else None

    def _foreign(self) -> Iterator[Path]:
        """Files that a job does not leave behind that was stopped before its manifest stood."""
        for file in self.path.iterdir():
            is_left = file.name == _LOCK or is_temporary(file.name, JOB)
            if not (is_left and _is_plain(file)):
                yield file

    def _remove_files(self) -> None:
        for file in [*self.path.iterdir()]:
            is_ours = file.name in (_MANIFEST, _PEOPLE) or is_temporary(file.name, JOB)
            if (is_ours or _SEGMENT.fullmatch(file.name)) and _is_plain(file):
                file.unlink(missing_ok=True)

    def _lock_file(self) -> TextIO:
        try:
            return os.fdopen(os.open(self.path / _LOCK, _LOCK_FLAGS, 0o666), "w")
        except OSError as error:
            raise _unusable(self.path, error) from error


def _unusable(path: Path, error: Exception) -> MediaError:
    reason = getattr(error, "strerror", None) or "not a path"
    return MediaError(
        f"The job folder {printable(str(path))} cannot be used ({reason}). Choose another one."
    )


def _is_plain(path: Path) -> bool:
    """Whether it is a file: no folder, no link, no pipe."""
    return path.is_file() and not path.is_symlink()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _read_object(path: Path, max_bytes: int) -> dict | None:
    """A JSON object of a file of at most some bytes; None where there is none."""
    try:
        if not _is_plain(path):
            return None
        found = read_record(path, max_bytes)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _write_durably(path: Path, text: str) -> None:
    with _writing(path) as part:
        part.write_text(text, encoding="utf-8")


@contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Where a file of the folder is written, before it gets its name at once."""
    try:
        with replaced(path, durable=True, owner=JOB) as part:
            yield part
    except OSError as error:
        raise MediaError(
            f"The job folder cannot be written to ({error.strerror}). "
            "Check the disk's free space and the folder's rights."
        ) from error
