"""The published networks of SimSwap, fetched from their makers' release and made a model folder.

Their sizes and hashes are not known here. So what comes first is trusted, as long as it is such a
network by its keys and shapes, and remembered: another file under the same address is refused.
"""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from simswap.cli.download.fetching import CHUNK, fetch
from simswap.errors import ModelError, OptionError
from simswap.files import is_ours_alone, lasting_beside, read_record, write_whole
from simswap.provenance.signer import data_folder
from simswap.weights.bundle_config import CONFIG_FILE
from simswap.weights.convert import Conversion, convert

RELEASES = "https://github.com/neuralchen/SimSwap/releases/download"
LICENCE = (
    "The published SimSwap weights are for non-commercial research only "
    "(https://github.com/neuralchen/SimSwap#license)."
)
RECORD = "fetched.json"  # in our data folder: sha256 by address
MAX_BYTES = 2 * 10**9  # of one file: a bound, since their sizes are not known here
IDENTITY = f"{RELEASES}/1.0/arcface_checkpoint.tar"
GENERATOR_ENDING = "_net_G.pth"  # of the one file that is taken out of an archive


@dataclass(frozen=True)
class Published:
    """A published generator. archive: address of the zip that holds it. size: px, of its crops."""

    archive: str
    size: int
    identity: str = IDENTITY


PUBLISHED = {
    "simswap-224": Published(f"{RELEASES}/1.0/checkpoints.zip", 224),
    "simswap-512": Published(f"{RELEASES}/512_beta/512.zip", 512),
}


def fetch_published(name: str, output: Path) -> Conversion:
    """Fetch the generator and its identity network, and write them as a model folder.

    A download that was broken off goes on: what came stays beside the folder until that is written.

    Raises ModelError: no network, another file than before, or no such network; OptionError if
    `output` holds something else, or cannot be written, or others may write beside it.
    """
    model, waiting = PUBLISHED[name], lasting_beside(output, "download")
    if output.exists() and not (output / CONFIG_FILE).is_file():
        raise OptionError(f"{output} exists and is no model folder. Name another with --output.")
    generator = waiting / "generator.pth"
    files = {url: waiting / url.rsplit("/", 1)[-1] for url in (model.archive, model.identity)}
    try:
        waiting.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not is_ours_alone(waiting):
            raise OptionError(
                f"{waiting} is a link, or others may write there. Remove it, or name another "
                "folder with --output."
            )
        hashes = {url: fetch(url, file, MAX_BYTES)[0] for url, file in files.items()}
        try:
            _check_known(hashes)
            _take_generator(files[model.archive], generator)
            done = convert(
                generator,
                files[model.identity],
                output,
                size=model.size,
                maker="published",
                licence=LICENCE,
            )
            _remember(hashes)
        finally:  # none of them would be of use to a second try
            for file in (*files.values(), generator):
                file.unlink(missing_ok=True)
            waiting.rmdir()
    except OSError as error:
        raise OptionError(f"{waiting} cannot be written: {error.strerror or error}.") from error
    return done


def _known() -> dict[str, object]:
    """The sha256 of what was fetched before, by its address."""
    try:
        known = read_record(data_folder() / RECORD)
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _check_known(hashes: Mapping[str, str]) -> None:
    known = _known()
    for url, sha256 in hashes.items():
        if known.get(url, sha256) != sha256:
            raise ModelError(
                f"{url} is another file than the one that was fetched before: its sha256 is "
                f"{sha256[:12]}..., not {str(known[url])[:12]}.... If its makers say that they "
                f"changed it, delete {data_folder() / RECORD}."
            )


def _remember(hashes: Mapping[str, str]) -> None:
    data_folder().mkdir(parents=True, exist_ok=True)
    write_whole(data_folder() / RECORD, json.dumps(_known() | hashes, indent=2).encode())


def _take_generator(archive: Path, generator: Path) -> None:
    """The one generator of an archive, whatever folder it lies in there."""
    try:
        with zipfile.ZipFile(archive) as files:
            found = [one for one in files.infolist() if one.filename.endswith(GENERATOR_ENDING)]
            if len(found) != 1 or found[0].file_size > MAX_BYTES:
                raise ModelError(
                    f"{archive.name} holds {len(found)} files *{GENERATOR_ENDING}, where one of "
                    f"less than {MAX_BYTES / 1e9:g} GB was expected. Try again later."
                )
            with files.open(found[0]) as source, generator.open("wb") as file:
                shutil.copyfileobj(source, file, CHUNK)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ModelError(f"{archive.name} is damaged ({error}). Try again.") from error
