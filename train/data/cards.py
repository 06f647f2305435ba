"""What a data set's card on the Hub has read: files of its own repository, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from train.errors import TrainingError


def checked_commit(name: str, revision: str | None) -> str | None:
    """The commit of a data set to read; `revision` itself if there is no such set.

    Raises TrainingError if its card names files elsewhere: the library would ask for addresses
    there, also in this machine's own network, and with the user's token.
    """
    from datasets.config import REPOCARD_FILENAME, REPOYAML_FILENAME
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
    for file in (REPOCARD_FILENAME, REPOYAML_FILENAME):
        try:
            path = Path(api.hf_hub_download(name, file, repo_type="dataset", revision=commit))
        except EntryNotFoundError:
            continue
        if file == REPOCARD_FILENAME:  # as `datasets` does: readers differ in where its head ends
            held = DatasetCard.load(path).data.to_dict()
        else:
            held = yaml.safe_load(path.read_text(encoding="utf-8"))
        for text in _texts((held or {}).get("configs")):
            if "://" in text or text.startswith("/") or ".." in text.split("/"):
                raise TrainingError(
                    f"The card of {name} names files that are not its own ({text[:80]!a}). "
                    "Ask its maker to name them by their paths in the data set."
                )
    return commit


def _texts(held: object) -> Iterator[str]:
    """All texts in what YAML gave; a list that is named many times once."""
    waiting, seen = [held], set()
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list) and id(one) not in seen:
            seen.add(id(one))
            waiting += one.values() if isinstance(one, dict) else one
