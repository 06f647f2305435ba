"""A repository on the Hub that this user may write to, found out before any work is done."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

from huggingface_hub import HfApi, get_token
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    OfflineModeIsEnabled,
)
from huggingface_hub.utils import disable_progress_bars

from simswap.weights.bundle import HUB_REPO_PATTERN
from train.errors import TrainingError

# Client errors that pass: timeout, a commit at the same moment (409, 412), too early, too many.
PASSING_STATUS = {408, 409, 412, 425, 429}
ATTEMPTS_AT_START = 3  # somebody waits, but a restarted run should survive a hiccup
TOKEN_PAGE = "https://huggingface.co/settings/tokens"

Answer = TypeVar("Answer")


class Repository:
    """A model's or a data set's, with the client that writes to it.

    A token is taken from HF_TOKEN or from `hf auth login`, and never stored or logged.
    """

    def __init__(
        self,
        repo_id: str,
        kind: Literal["model", "dataset"],
        *,
        private: bool,
        first_delay: float = 5.0,
    ) -> None:
        """Create the repository if it is not there, and check that this user may write to it.

        Args:
            repo_id: "user/name".
            kind: of what it holds.
            private: create it private, and refuse one that is public. False leaves it to the
                owner's default; a repository that is there stays as it is.
            first_delay: seconds before a request is made a second time; each further one is twice
                as long.

        Raises:
            TrainingError: there is no token, it may not write, or the Hub cannot be asked.
        """
        if not HUB_REPO_PATTERN.fullmatch(repo_id):
            raise TrainingError(f"The Hub repository {repo_id!r} must look like 'user/name'.")
        self.repo_id, self.kind = repo_id, kind
        self.api = HfApi(library_name="simswap")
        self._first_delay = first_delay
        disable_progress_bars()  # they would tear a run's own bar apart
        self._open(private)

    def delay(self, attempt: int) -> float:
        """Seconds to wait after so many attempts."""
        return self._first_delay * 2 ** (attempt - 1)

    def _open(self, private: bool) -> None:
        if get_token() is None:
            raise TrainingError(
                f"There is no Hugging Face token, so {self.repo_id} cannot be pushed to. Run `hf "
                f"auth login`, or set HF_TOKEN to a token with write rights ({TOKEN_PAGE})."
            )
        api, name = self.api, {"repo_id": self.repo_id, "repo_type": self.kind}
        visibility = True if private else None
        try:
            self._ask(lambda: api.create_repo(**name, private=visibility, exist_ok=True))
            # An existing repository answers create_repo even for those who may only read it.
            self._ask(lambda: api.auth_check(**name, write=True))
            is_private = self._ask(lambda: api.repo_info(**name).private)
        except (HTTPError, OSError, ValueError) as error:
            raise TrainingError(self.explain(error)) from error
        if private and not is_private:
            raise TrainingError(
                f"{self.repo_id} is public already, and a private one was asked for. Make it "
                "private in its settings, or push to another name."
            )

    def _ask(self, request: Callable[[], Answer]) -> Answer:
        for attempt in range(1, ATTEMPTS_AT_START + 1):
            try:
                return request()
            except (HTTPError, OSError, ValueError) as error:
                if attempt == ATTEMPTS_AT_START or not may_pass(error):
                    raise
                time.sleep(self.delay(attempt))
        raise AssertionError("the last attempt returns or raises")

    def explain(self, error: Exception) -> str:
        """What a person can do about a request that failed."""
        status = _status_of(error)
        if status == 401:
            return (
                f"The Hub does not accept the token for {self.repo_id}. Run `hf auth login` again, "
                f"or set HF_TOKEN to a valid token with write rights ({TOKEN_PAGE})."
            )
        if status in (403, 404):
            return (
                f"This token may not write to {self.repo_id} ({reason_of(error)}). Use a token "
                f"with write rights to it ({TOKEN_PAGE}), or push to a repository of your own."
            )
        return (
            f"The Hub at {self.api.endpoint} could not be asked about {self.repo_id}: "
            f"{reason_of(error)}. Check the name and the network, or go on without a push."
        )


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed later: not if the client itself was at fault."""
    if isinstance(error, OfflineModeIsEnabled | HFValidationError):
        return False
    status = _status_of(error)
    return status is None or status >= 500 or status in PASSING_STATUS


def reason_of(error: Exception) -> str:
    """What went wrong, in a line."""
    cause = _cause_of(error)
    return " ".join(str(cause).split())[:300].rstrip(".") or type(cause).__name__


def _cause_of(error: BaseException) -> BaseException:
    """What went wrong: the library wraps errors of large files, without a word about the cause."""
    is_wrapped = isinstance(error, RuntimeError) and error.__cause__ is not None
    return error.__cause__ if is_wrapped else error


def _status_of(error: Exception) -> int | None:
    cause = _cause_of(error)
    return cause.response.status_code if isinstance(cause, HfHubHTTPError) else None
