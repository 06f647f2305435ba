"""The newest video of each visit, which its page finds again after a reload.

A visit is a tab of a browser, until that is closed. Its token is made and kept by the browser; only
its hash is known here, so that nobody finds another's video, and nothing tells how near a guess is.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from pathlib import Path

from simswap import OptionError, VideoProgress
from simswap.demo.process.retention import MAX_AGE
from simswap.demo.services.videos import Outcome

clock = time.monotonic

UNASKED_SECONDS = 120.0  # hidden pages may ask once a minute only
MOST = 1000  # jobs that are remembered; of one address:
MOST_OF_ADDRESS = 8
TOKEN = re.compile(r"[\w-]{32,64}", re.ASCII)
TOO_MANY = "Too many videos are at work already. Try again when one of yours has ended."
NO_TOKEN = "The page has not said which visit this is. Reload it and try again."


class Job:
    """A visit's video, from the click to an hour after its end.

    Attributes:
        session: Gradio's name of the page that began it, by which the waiting line knows it.
        address: of the visitor.
        newest: how far it is, what came of it, or a sentence that says why nothing did; None before
            its turn.
        is_begun: whether it has had its turn.
        asked: when a page last asked for it. waited: when it was last known to be in line.
    """

    def __init__(self, session: str | None, address: str) -> None:
        self.session, self.address = session, address
        self.newest: VideoProgress | Outcome | str | None = None
        self.is_begun = False
        self.asked = self.waited = clock()

    @property
    def has_ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return isinstance(self.newest, Outcome | str)

    @property
    def is_asked_for(self) -> bool:
        """Whether a page has asked for it lately."""
        return clock() - self.asked < UNASKED_SECONDS

    @property
    def is_needless(self) -> bool:
        """Whether nobody misses it: it has ended, or no page asks for it."""
        return self.has_ended or not self.is_asked_for

    def end(self, why: str) -> None:
        """Let it end at its next step, unless it has ended."""
        if not self.has_ended:
            self.newest = why

    @property
    def is_old(self) -> bool:
        """Whether no page has asked for it for so long that its files are deleted."""
        return clock() - self.asked > MAX_AGE


class Jobs:
    """One job for each visit. Safe to use from several threads."""

    def __init__(self) -> None:
        self._jobs: dict[bytes, Job] = {}  # by the token's hash, the oldest first
        self._lock = threading.Lock()

    def begin(self, token: object, session: str | None, address: str, ended: str) -> Job:
        """Remember a new job, in place of the visit's last, which ends with this sentence.

        Where there are too many, the oldest that are over, or that nobody asks for, are forgotten.
        Raises OptionError if there are none such, or the token is none.
        """
        if not (isinstance(token, str) and TOKEN.fullmatch(token)):
            raise OptionError(NO_TOKEN)
        job, name = Job(session, address), _hash(token)
        with self._lock:
            others = {key: one for key, one in self._jobs.items() if key != name}
            of_address = [key for key, one in others.items() if one.address == address]
            for keys, most in ((of_address, MOST_OF_ADDRESS), (list(others), MOST)):
                count = len([key for key in keys if key in others]) - most + 1
                needless = [key for key in keys if key in others and others[key].is_needless]
                if count > len(needless):
                    raise OptionError(TOO_MANY)
                for key in needless[: max(0, count)]:
                    others.pop(key).end(ended)
            if last := self._jobs.get(name):
                last.end(ended)
            self._jobs = {**others, name: job}
        return job

    def of(self, token: object) -> Job | None:
        """A visit's job, for its page that asks; None if there is none (any more)."""
        if not isinstance(token, str):
            return None
        with self._lock:
            job = self._jobs.get(_hash(token))
        if job is not None:
            job.asked = clock()
            if isinstance(job.newest, Outcome) and not Path(job.newest.path).is_file():
                return None  # deleted in time
        return job

    def forget_old(self) -> None:
        """Forget what nobody has asked for in an hour; call it now and then."""
        with self._lock:
            self._jobs = {name: job for name, job in self._jobs.items() if not job.is_old}

    def waits(self, session: str) -> bool:
        """Whether a page's job, which waits in line, is still wanted, even by another page."""
        with self._lock:
            return any(
                job.session == session and job.newest is None and job.is_asked_for
                for job in self._jobs.values()
            )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


jobs = Jobs()
