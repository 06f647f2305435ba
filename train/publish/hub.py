"""Push bundles to the Hub in the background, while training goes on.

Whether the repository may be written to is found out before the first step; after that nothing
that happens to the Hub or the network stops a run.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd

from simswap.weights.bundle import CARD_FILE, CONFIG_FILE, WEIGHT_FILES
from simswap.weights.bundle_networks import OPTIONAL_FILES
from train.publish.model_card import SAMPLES_FILE
from train.publish.repository import Repository, may_pass, reason_of

logger = logging.getLogger(__name__)

NEEDED_FILES = (CONFIG_FILE, CARD_FILE, *WEIGHT_FILES.values())


@dataclass(frozen=True, eq=False)
class _Snapshot:
    """A copy of a bundle's files, deleted when it is no longer needed."""

    number: int
    message: str
    origin: Path
    copy: tempfile.TemporaryDirectory

    @property
    def files(self) -> list[Path]:
        return sorted(Path(self.copy.name).iterdir())


class HubPusher:
    """Keeps a Hub repository up to date with a run's bundle, from a background thread.

    One upload runs at a time, and of those that wait only the newest is kept. Safe to use from one
    thread. A token is taken from HF_TOKEN or from `hf auth login`, and never stored or logged.
    """

    def __init__(
        self,
        repo_id: str,
        *,
        private: bool = False,
        attempts: int = 6,
        first_delay: float = 5.0,
    ) -> None:
        """Create the repository if it is not there, and check that this user may write to it.

        Args:
            repo_id: "user/name".
            private: create it private, and refuse one that is public. False leaves it to the
                owner's default; a repository that is there stays as it is.
            attempts: uploads of one bundle before it is given up.
            first_delay: seconds between the first two; each further one is twice as long.

        Raises:
            TrainingError: there is no token, it may not write, or the Hub cannot be asked.
        """
        self._repository = Repository(repo_id, "model", private=private, first_delay=first_delay)
        self.repo_id, self._api = repo_id, self._repository.api
        self._attempts = attempts
        self._changed = threading.Condition()  # guards what follows
        self._waiting: _Snapshot | None = None
        self._worker: threading.Thread | None = None
        self._is_closing = False
        self._folder = Path()  # of the last push
        self._num_pushed = self._arrived = 0  # the number of the last one that is on the Hub
        logger.info("Checkpoints are pushed to %s/%s", self._api.endpoint, repo_id)

    def push(self, folder: Path, message: str) -> None:
        """Copy a bundle now, and upload the copy in the background. Never raises for a failure.

        message: of the commit, such as "Step 12000". Only the files of a bundle are taken.
        """
        with self._changed:
            self._num_pushed += 1
            number, self._folder = self._num_pushed, folder
        try:
            snapshot = _take_snapshot(folder, number, message)
        except OSError as error:
            logger.warning("%r is not pushed: copying %s failed: %s", message, folder, error)
            return
        with self._changed:
            if self._waiting is not None:
                logger.warning(
                    "%r is not pushed: an earlier upload to %s is still under way, and %r is newer",
                    self._waiting.message,
                    self.repo_id,
                    message,
                )
                self._waiting.copy.cleanup()
            self._waiting, self._is_closing = snapshot, False
            if self._worker is None:
                # A daemon: an upload that hangs must not keep a finished run's process alive.
                self._worker = threading.Thread(target=self._work, name="hub-push", daemon=True)
                self._worker.start()
            self._changed.notify_all()

    def close(self, timeout: float | None = 600.0) -> bool:
        """Wait for the last push; True if it arrived, or if there was none.

        timeout: seconds; None waits until it arrived or was given up.
        """
        with self._changed:
            is_done = self._changed.wait_for(lambda: self._worker is None, timeout)
            if not is_done:
                logger.warning(
                    "The last push to %s did not arrive in %g s and is given up. %s",
                    self.repo_id,
                    timeout,
                    self._remedy(self._folder),
                )
            self._is_closing = True
            self._changed.notify_all()
            return self._arrived == self._num_pushed

    def _work(self) -> None:
        while (snapshot := self._next()) is not None:
            with snapshot.copy:
                has_arrived = self._upload(snapshot)
            with self._changed:
                if has_arrived:
                    self._arrived = snapshot.number

    def _next(self) -> _Snapshot | None:
        with self._changed:
            snapshot, self._waiting = self._waiting, None
            if snapshot is None:
                self._worker = None
                self._changed.notify_all()
            return snapshot

    def _upload(self, snapshot: _Snapshot) -> bool:
        """Upload until it arrives, is given up, or a newer one waits."""
        for attempt in range(1, self._attempts + 1):
            try:
                self._commit(snapshot)
                return True
            except Exception as error:  # whatever an upload runs into, training goes on
                reason, is_passing = reason_of(error), may_pass(error)
            if attempt == self._attempts or not is_passing or self._is_interrupted(attempt):
                break
        logger.warning(
            "%r did not reach %s after %d of %d attempts: %s. Training goes on. %s",
            snapshot.message,
            self.repo_id,
            attempt,
            self._attempts,
            reason,
            self._remedy(snapshot.origin),
        )
        return False

    def _commit(self, snapshot: _Snapshot) -> None:
        """One commit of all files: a reader never meets weights beside another's config.json."""
        started = time.perf_counter()
        files = snapshot.files
        additions = [CommitOperationAdd(path.name, path) for path in files]
        # One by one: several at a time go through a pool of threads for which a process waits at
        # its end, however long they hang.
        for addition in additions:
            self._api.preupload_lfs_files(self.repo_id, [addition], free_memory=False)
        self._api.create_commit(self.repo_id, additions, commit_message=snapshot.message)
        logger.info(
            "Pushed %r to %s (%.1f MB) in %.1f s",
            snapshot.message,
            self.repo_id,
            sum(path.stat().st_size for path in files) / 1e6,
            time.perf_counter() - started,
        )

    def _is_interrupted(self, attempt: int) -> bool:
        """Wait before the next attempt; True if a newer bundle came, or the end."""
        with self._changed:
            return self._changed.wait_for(
                lambda: self._waiting is not None or self._is_closing,
                self._repository.delay(attempt),
            )

    def _remedy(self, folder: Path) -> str:
        return f"The next push brings a newer one; by hand: `hf upload {self.repo_id} {folder} .`"


def _take_snapshot(folder: Path, number: int, message: str) -> _Snapshot:
    copy = tempfile.TemporaryDirectory(prefix="simswap-push-", ignore_cleanup_errors=True)
    try:
        for name in NEEDED_FILES:
            shutil.copyfile(folder / name, Path(copy.name) / name)
        for name in (*OPTIONAL_FILES.values(), SAMPLES_FILE):
            if (folder / name).is_file():
                shutil.copyfile(folder / name, Path(copy.name) / name)
    except OSError:
        copy.cleanup()
        raise
    return _Snapshot(number, message, folder, copy)
