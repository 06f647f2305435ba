"""What a data set's card on the Hub has read: files of its own repository, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import yaml

from simswap.files import read_beginning
from train.errors import TrainingError

MAX_BYTES = 1_000_000
MAX_STARS = 6  # of a pattern, half of them in one name: time grows with each
_BASE_60 = re.compile(rb"(?::[0-5]?[0-9]){20}")  # a number for YAML, whose time is its square
MAX_PARTS = 100_000  # texts, numbers and lists of a card; a large one has a hundredth of that


def checked_commit(name: str, revision: str | None) -> str | None:
    """The commit of a data set to read; `revision` itself if there is no such set.

    Raises TrainingError if its card names files elsewhere: the library would ask for addresses
    there, also in this machine's own network, and with the user's token. Also if it is very large
    once it is written out, as the library does.
    """
    from datasets.config import DATASETDICT_INFOS_FILENAME, REPOCARD_FILENAME, REPOYAML_FILENAME
    from huggingface_hub import DatasetCard, HfApi
    from huggingface_hub.errors import (
        EntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    api = HfApi()
    try:
        commit = api.dataset_info(name, revision=revision).sha
    except (RepositoryNotFoundError, RevisionNotFoundError):
        return revision
    for file in (REPOCARD_FILENAME, REPOYAML_FILENAME, DATASETDICT_INFOS_FILENAME):
        try:
            path = Path(api.hf_hub_download(name, file, repo_type="dataset", revision=commit))
        except EntryNotFoundError:
            continue
        content = read_beginning(path, MAX_BYTES + 1)
        if len(content) > MAX_BYTES or _BASE_60.search(content):
            raise TrainingError(
                f"The {file} of {name} is larger than {MAX_BYTES / 1e6:.0f} MB, or holds a very "
                "long number. Ask its maker for a smaller one."
            )
        if file == REPOCARD_FILENAME:  # as `datasets` does: readers differ in where its head ends
            _check(name, DatasetCard.load(path).data.to_dict())
        elif file == REPOYAML_FILENAME:
            _check(name, yaml.safe_load(path.read_text(encoding="utf-8")))
    return commit


def _check(name: str, held: object) -> None:
    """Raise TrainingError for what a card holds, see checked_commit."""
    if sum(1 for _ in islice(_parts(held), MAX_PARTS)) == MAX_PARTS:
        raise TrainingError(
            f"The card of {name} holds more than {MAX_PARTS} parts, or names some many times, "
            "which takes very much memory to read. Ask its maker for a smaller one."
        )
    configs = held.get("configs") if isinstance(held, dict) else None
    for text in _parts(configs):
        if isinstance(text, str):
            _check_pattern(name, text)


def _check_pattern(name: str, text: str) -> None:
    """Raise TrainingError if a text would lead elsewhere, or take very long as a pattern."""
    folders = text.split("/")
    if "://" in text or text.startswith("/") or ".." in folders:
        raise TrainingError(
            f"The card of {name} names files that are not its own ({text[:80]!a}). "
            "Ask its maker to name them by their paths in the data set."
        )
    if text.count("*") > MAX_STARS or max(one.count("*") for one in folders) > MAX_STARS // 2:
        raise TrainingError(
            f"The card of {name} names files by a pattern of many stars ({text[:80]!a}), which "
            "takes very long to compare. Ask its maker for a simpler one."
        )


def _parts(held: object) -> Iterator[object]:
    """All in what YAML gave, as it is when written out: what is named many times comes as often."""
    waiting = [held]
    while waiting:
        one = waiting.pop()
        yield one
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one
