"""The folder in which a video job keeps its finished parts, so that it can be interrupted.

It holds the swapped segments and a manifest of what they were made with: hashes and numbers, never
a face, an embedding or a file's name. A segment counts only once its own small record stands
beside it, which is written last; so power may fail at any moment.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from simswap.errors import MediaError, OptionError
from simswap.provenance import printable

try:
    import fcntl
except ImportError:  # Windows: two jobs in one folder are then the caller's to avoid
    fcntl = None

_MANIFEST = "simswap-job.json"
_LOCK = "lock"
_OURS = (_MANIFEST, _LOCK, "segment-*.nut", "segment-*.json", "*.part")
Setting = str | int | float | None


@dataclass(frozen=True)
class SegmentRecord:
    """What was counted while a segment was made.

    num_unswapped: frames with faces of which none was swapped. num_repeated: frames that could not
    be decoded. seconds: that it took. size: of its file, in bytes.
    """

    num_frames: int
    faces_swapped: int
    frames_without_face: int
    num_unswapped: int
    num_repeated: int
    seconds: float
    size: int = 0


@dataclass(frozen=True)
class JobFolder:
    """A folder of one job; it exists from `opened` until `remove`."""

    path: Path

    def segment(self, number: int) -> Path:
        """Where a segment's video lies."""
        return self.path / f"segment-{number:05}.nut"

    def record(self, number: int) -> SegmentRecord | None:
        """What was counted in a segment; None if it has not been finished."""
        try:
            values = json.loads(self._record_path(number).read_text(encoding="utf-8"))
            record = SegmentRecord(**values)
            return record if self.segment(number).stat().st_size == record.size else None
        except (OSError, ValueError, TypeError):
            return None

    def keep(self, number: int, record: SegmentRecord) -> None:
        """Declare a segment finished, whose file is on the disk."""
        values = asdict(record) | {"size": self.segment(number).stat().st_size}
        _write_durably(self._record_path(number), json.dumps(values))

    @contextmanager
    def opened(self, settings: Mapping[str, Setting], resume: bool) -> Iterator[None]:
        """Hold the folder for this process, made if needed, with segments of these settings only.

        resume: False begins anew. At the end it is removed if no segment has been finished.
        Raises OptionError if it holds a job of other settings, MediaError if another process works
        in it, if it is no job's folder, or if it cannot be written.
        """
        self._make()
        with self._locked():
            if not resume:
                self._remove_files()
            self._check(settings)
            try:
                yield
            finally:
                if self.path.is_dir() and not any(self.path.glob("segment-*.json")):
                    self.remove()

    def remove(self) -> None:
        """Remove the job's own files, and the folder if nothing else is in it."""
        self._remove_files()
        (self.path / _LOCK).unlink(missing_ok=True)
        if self.path.is_dir() and not any(self.path.iterdir()):
            self.path.rmdir()

    def _record_path(self, number: int) -> Path:
        return self.segment(number).with_suffix(".json")

    def _make(self) -> None:
        name = printable(str(self.path))
        try:
            self.path.mkdir(exist_ok=True)
            foreign = [
                file for file in self.path.iterdir() if not any(file.match(ours) for ours in _OURS)
            ]
        except OSError as error:
            raise MediaError(
                f"The job folder {name} cannot be used ({error.strerror}). Choose another one."
            ) from error
        if foreign:
            raise MediaError(
                f"The job folder {name} holds other files, such as "
                f"{printable(foreign[0].name)}. Give an empty or a new folder."
            )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # The system lets go of the lock when the process ends, however it ends.
        with (self.path / _LOCK).open("w") as stream:
            if fcntl is not None:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError as error:
                    raise MediaError(
                        f"The job folder {printable(str(self.path))} is in use by another process. "
                        "Wait for it, or choose another output or job folder."
                    ) from error
            yield

    def _check(self, settings: Mapping[str, Setting]) -> None:
        manifest = self.path / _MANIFEST
        # As JSON knows them: a tuple comes back as a list.
        settings = json.loads(json.dumps(dict(settings)))
        try:
            found = json.loads(manifest.read_text(encoding="utf-8"))
        except FileNotFoundError:
            _write_durably(manifest, json.dumps(settings, indent=1))
            return
        except (OSError, ValueError):
            found = None
        if found == settings:
            return
        is_readable = isinstance(found, dict)
        names = [name for name in settings if is_readable and found.get(name) != settings[name]]
        raise OptionError(
            f"An unfinished job lies in {printable(str(self.path))} with other settings "
            f"({', '.join(names) or 'which cannot be read'}). Give the same again to go on with "
            "it, or restart to begin anew."
        )

    def _remove_files(self) -> None:
        for pattern in _OURS:
            if pattern != _LOCK:
                for file in self.path.glob(pattern):
                    file.unlink(missing_ok=True)


def _write_durably(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(path)
    except OSError as error:
        raise MediaError(
            f"The job folder cannot be written to ({error.strerror}). "
            "Check the disk's free space and the folder's rights."
        ) from error
