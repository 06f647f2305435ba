"""`python -m simswap deploy`: this clone as a Hugging Face Space."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from simswap.errors import OptionError

SUMMARY = "upload the demo as a Hugging Face Space"
CLONE = Path(__file__).parents[1]
TOKEN_PAGE = "https://huggingface.co/settings/tokens"
# What the Space needs, and no more: neither tests nor the trainer.
TOP_FILES = ("app.py", "requirements.txt", "packages.txt", "README.md", "LICENSE")
FOLDERS = {
    "demo": {".py", ".css", ".html", ".js"},
    "simswap": {".py"},
    "assets": {".md", ".jpg", ".json", ".safetensors"},
}


def add_options(parser: ArgumentParser) -> None:
    """The options of `deploy`."""
    parser.add_argument(
        "--space", required=True, metavar="USER/NAME", help="made if it is not there yet"
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


def run(arguments: Namespace, say: Callable[[str], None]) -> str:
    """Upload in one commit; gives the Space's address, or what would be uploaded.

    Raises OptionError if the Hub does not take it.
    """
    files = files_of_space()
    if arguments.dry_run:
        return "\n".join(map(str, files))
    size = sum((CLONE / path).stat().st_size for path in files)
    say(f"Uploading {len(files)} files ({size / 1e6:.0f} MB) to {arguments.space}...")
    return upload(arguments.space, files, arguments.private)


def upload(space: str, files: list[Path], private: bool) -> str:
    """Make the Space if need be, and commit the files; gives its address."""
    from huggingface_hub import CommitOperationAdd, HfApi, get_token
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    if get_token() is None:
        raise OptionError(
            "There is no Hugging Face token. Run `hf auth login`, or set HF_TOKEN to a token with "
            f"write rights ({TOKEN_PAGE})."
        )
    api = HfApi(library_name="simswap")
    # As text and in POSIX form, whatever machine this is.
    additions = [CommitOperationAdd(path.as_posix(), CLONE / path) for path in files]
    try:
        api.create_repo(
            space,
            repo_type="space",
            space_sdk="gradio",
            private=True if private else None,  # None leaves it to the owner's default
            exist_ok=True,
        )
        api.create_commit(
            space, additions, repo_type="space", commit_message="Deploy SimSwap's demo"
        )
    except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise OptionError(
            f"The Hub did not take {space}: {reason} Check the name, the network, and that the "
            f"token may write there ({TOKEN_PAGE})."
        ) from error
    return f"{api.endpoint}/spaces/{space}"
