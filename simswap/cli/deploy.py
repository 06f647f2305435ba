"""`python -m simswap deploy`: this clone as a Hugging Face Space."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.cli.messages import give, say
from simswap.cli.pins import REQUIREMENTS, pinned_requirements, write_pins
from simswap.errors import OptionError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

CLONE = Path(__file__).parents[2]
COMMIT_TITLE = "Deploy SimSwap's demo"  # by which a later deployment knows what it may delete
MAX_NAMED = 5  # files in a line
# Of a new Space, by the names that people and the Hub use.
HARDWARE = {"cpu": None, "zerogpu": "zero-a10g"}  # None is the Hub's default: CPU, free
MODEL_SETTING = "SIMSWAP_MODEL"  # which app.py reads
TOKEN_PAGE = "https://huggingface.co/settings/tokens"
# What the Space needs, and no more: neither tests nor the trainer.
TOP_FILES = ("app.py", "requirements.txt", "packages.txt", "README.md", "LICENSE")
FOLDERS = {
    "simswap": {".py", ".css", ".html", ".js"},
    "assets": {".md", ".jpg", ".json", ".safetensors"},
}


def add_options(parser: ArgumentParser) -> None:
    """The options of `deploy`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--space", metavar="USER/NAME", help="made if it is not there yet")
    what.add_argument(
        "--pin",
        action="store_true",
        help="upload nothing, but write constraints.txt anew: what is installed here",
    )
    parser.add_argument(
        "--hardware",
        choices=HARDWARE,
        default="cpu",
        help="what the Space runs on: zerogpu is a GPU lent call by call, with its newest torch",
    )
    parser.add_argument(
        "--model",
        metavar="USER/NAME",
        help="the Space takes this model of the Hub at each start, not the bundled one",
    )
    parser.add_argument("--private", action="store_true", help="make a new Space private")
    parser.add_argument(
        "--dry-run", action="store_true", help="only list the files that would be uploaded"
    )


def files_of_space() -> list[Path]:
    """The files of this clone that a Space needs, relative to its root, sorted.

    Raises OptionError if this is an installed package without the demo.
    """
    missing = [name for name in (*TOP_FILES, *FOLDERS) if not (CLONE / name).exists()]
    if missing:
        raise OptionError(f"{missing[0]} is missing. Run deploy in a clone of the repository.")
    files = [Path(name) for name in TOP_FILES]
    for folder, suffixes in FOLDERS.items():
        found = (CLONE / folder).rglob("*")
        files += [path.relative_to(CLONE) for path in found if path.suffix in suffixes]
    return sorted(files)


def run(arguments: Namespace) -> int:
    """Upload in one commit, and give the Space's address; or what would be uploaded, or was pinned.

    What an earlier deployment uploaded and is not needed any more goes in the same commit.

    Raises OptionError if the Hub does not take it.
    """
    if arguments.pin:
        give(write_pins())
        return 0
    files = files_of_space()
    if arguments.dry_run:
        give("\n".join(map(str, files)))
        return 0
    size = sum((CLONE / path).stat().st_size for path in files)
    say(f"Uploading {len(files)} files ({size / 1e6:.0f} MB) to {arguments.space}...")
    give(upload(arguments.space, files, arguments.hardware, arguments.private, arguments.model))
    return 0


def upload(space: str, files: list[Path], hardware: str, private: bool, model: str | None) -> str:
    """Make the Space if need be, commit the files, delete outdated ones; gives its address."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    if get_token() is None:
        raise OptionError(
            "There is no Hugging Face token. Run `hf auth login`, or set HF_TOKEN to a token with "
            f"write rights ({TOKEN_PAGE})."
        )
    api = HfApi(library_name="simswap")
    if model is not None:
        check_model(api, model)
    # As text and in POSIX form, whatever machine this is.
    contents = {path.as_posix(): CLONE / path for path in files}
    # A Space's build reads no other file.
    contents[REQUIREMENTS.name] = pinned_requirements(for_shared_gpu=hardware == "zerogpu")
    additions = [CommitOperationAdd(name, content) for name, content in contents.items()]
    try:
        api.create_repo(
            space,
            repo_type="space",
            space_sdk="gradio",
            space_hardware=HARDWARE[hardware],
            private=True if private else None,  # None leaves it to the owner's default
            exist_ok=True,
        )
        if model is not None:
            api.add_space_variable(space, MODEL_SETTING, model)
        outdated, others = split_rest(api, space, {item.path_in_repo for item in additions})
        if outdated:
            say(f"Deleting {len(outdated)} of an earlier deployment's files: {_some(outdated)}")
        if others:
            say(f"Left alone, since no deployment wrote them: {_some(others)}")
        deletions = [CommitOperationDelete(path, is_folder=False) for path in outdated]
        api.create_commit(
            space, [*additions, *deletions], repo_type="space", commit_message=COMMIT_TITLE
        )
    except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise OptionError(
            f"The Hub did not take {space}: {reason} Check the name, the network, and that the "
            f"token may write there ({TOKEN_PAGE})."
        ) from error
    return f"{api.endpoint}/spaces/{space}"


def check_model(api: HfApi, model: str) -> None:
    """Raise OptionError unless the Hub has a model; say what one that is private needs."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    try:
        is_private = api.model_info(model).private
    except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as error:
        raise OptionError(
            f"The Hub does not give the model {model}. Check the name, or push it first: "
            "train/train.py --push-to-hub."
        ) from error
    if is_private:
        say(f"{model} is private: add a secret HF_TOKEN to the Space, which may read it.")


def split_rest(api: HfApi, space: str, needed: set[str]) -> tuple[list[str], list[str]]:
    """A Space's files that are not needed: those that a deployment was last to write, and others.

    The Hub's own file, which says what it keeps apart, is none of them.
    """
    outdated, others = [], []
    for entry in api.list_repo_tree(space, recursive=True, expand=True, repo_type="space"):
        commit = getattr(entry, "last_commit", None)
        if hasattr(entry, "blob_id") and entry.path not in needed | {".gitattributes"}:
            is_ours = commit is not None and commit.title == COMMIT_TITLE
            (outdated if is_ours else others).append(entry.path)
    return sorted(outdated), sorted(others)


def _some(paths: list[str]) -> str:
    more = len(paths) - MAX_NAMED
    return ", ".join(paths[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
