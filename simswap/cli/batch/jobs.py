"""The jobs of a batch: command lines of `image` and `video`, of a file or a folder."""

from __future__ import annotations

import hashlib
import re
import tomllib
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from simswap.cli import image, video
from simswap.errors import MediaError, OptionError
from simswap.files import printable, read_record
from simswap.media.frames import READ_SUFFIXES, in_counting_order, written_name
from simswap.media.photos import OUTPUT_SUFFIXES, check_writable
from simswap.video.options import FORMAT_OF_SUFFIX

MAX_JOBS = 10_000
MAX_BYTES = 1_000_000  # of a file of jobs; of nested tables the parser reads some 0.4 MB a second
MAX_ALL = 20_000_000  # characters of all jobs, each of which has the defaults
MAX_VALUE = 4096  # characters, as many as a path may have
# Each to its line's end where nothing ends it, so that no character is looked at twice.
_QUOTED = re.compile(r""" "(?:\\.|[^"\\\n])*"? | '[^'\n]*'? | \#[^\n]* """, re.VERBOSE)
_DEEP_KEY = re.compile(r"(?<![\w-])(?:[\w-]+[ \t]*\.[ \t]*){4}")  # ours have one part
_KEY = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")
# An output's ending says whether it is a photo: of those that may be either, .webp is, .gif is not.
VIDEO_SUFFIXES = {*FORMAT_OF_SUFFIX, ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".wmv", ".flv"}
PATHS = ("source", "target", "output", "job-folder")  # options that are of the file's own folder
Values = Mapping[str, object]  # of a job, by option


@dataclass(frozen=True)
class Job:
    """What `image` or `video` is to do.

    words: the same as typed; arguments: as parsed.
    """

    is_photo: bool
    words: tuple[str, ...]
    arguments: Namespace

    @property
    def target(self) -> str:
        """As it was given."""
        return self.arguments.target

    @property
    def output(self) -> Path:
        """Where the result goes."""
        return Path(self.arguments.output)

    def fingerprint(self) -> str:
        """Of all that shapes the result: options, and the sizes and times of the files given."""
        digest = hashlib.sha256(repr(self.words).encode())
        pairs = [name for pair in self.arguments.assign or () for name in pair]
        for name in (self.target, *(self.arguments.source or ()), *pairs):
            if isinstance(name, str) and Path(name).exists():
                found = Path(name).stat()
                digest.update(f"{found.st_size} {found.st_mtime_ns};".encode())
        return digest.hexdigest()


class _JobParser(ArgumentParser):
    """Its errors are the batch's."""

    def error(self, message: str) -> NoReturn:
        raise OptionError(f"{message.rstrip('.')}.")


def read_jobs(arguments: Namespace) -> tuple[list[Job], Path]:
    """All jobs, each found sound as a command line, and where the report goes by default.

    Raises MediaError for a file or folder that holds none, OptionError for a job that is wrong.
    """
    given = Path(arguments.jobs)
    of_folder = {name: getattr(arguments, name) for name in ("source", "output", "faces")}
    if given.is_dir():
        missing = [f"--{name}" for name in ("source", "output") if not of_folder[name]]
        if missing:
            arguments.parser.error(f"a folder needs {' and '.join(missing)}")
        output = Path(arguments.output)
        found, place = list(_of_folder(given, output)), output / "batch-report.json"
        _make(output)
    else:
        surplus = [f"--{name}" for name, value in of_folder.items() if value]
        if surplus:
            arguments.parser.error(f"{', '.join(surplus)}: of a folder; a file of jobs has its own")
        found, place = list(_of_file(given, arguments.anywhere)), given.with_suffix(".report.json")
    if not 0 < len(found) <= MAX_JOBS:
        raise MediaError(
            f"{printable(given.name)} holds {len(found)} jobs; 1 to {MAX_JOBS} are possible."
        )
    shared = {name: getattr(arguments, name) for name in ("model", "detector", "runtime")}
    if given.is_dir():
        shared |= {"source": arguments.source, "faces": arguments.faces}
    jobs = [_job(number, {**shared, **one}) for number, one in enumerate(found, start=1)]
    _check_outputs(jobs)
    if not (given.is_dir() or arguments.anywhere):
        _check_places(jobs, given.parent)
    return jobs, place


def _of_folder(folder: Path, output: Path) -> Iterator[Values]:
    if output.exists() and output.samefile(folder):
        raise MediaError("The output folder is the folder of the targets. Choose another one.")
    for path in sorted(folder.iterdir(), key=lambda path: in_counting_order(path.name)):
        suffix = path.suffix.lower()
        if path.name.startswith(".") or not path.is_file():
            continue
        if suffix in VIDEO_SUFFIXES and suffix not in OUTPUT_SUFFIXES:
            name = path.name if suffix in FORMAT_OF_SUFFIX else f"{path.stem}.mp4"
            yield {"target": str(path), "output": str(output / name)}
        elif suffix in READ_SUFFIXES:
            yield {"target": str(path), "output": str(output / written_name(path))}


def _of_file(path: Path, is_trusted: bool) -> Iterator[Values]:
    name = printable(path.name)
    # By these, a stranger's file would name a machine to be asked.
    refused = ["cluster"] if is_trusted else ["cluster", "model"]
    try:
        if not path.is_file():
            raise MediaError(f"{name} is neither a file of jobs nor a folder.")
        if path.stat().st_size > MAX_BYTES:
            raise MediaError(f"{name} is larger than {MAX_BYTES / 1e6:g} MB. Cut it into several.")
        held = read_record(path, MAX_BYTES, partial(_parsed, name))
    except (OSError, ValueError) as error:
        raise MediaError(f"{name} cannot be read as TOML: {error}.") from error
    jobs, defaults = held.pop("job", []), held.pop("defaults", {})
    is_sound = isinstance(jobs, list) and all(isinstance(one, dict) for one in (defaults, *jobs))
    if held or not is_sound:
        raise MediaError(f"{name} holds something else than [defaults] and [[job]] tables.")
    num_characters = 0
    for number, one in enumerate(jobs, start=1):
        unknown = {"target", "output"} - one.keys()
        if unknown or not all(isinstance(one[key], str) for key in ("target", "output")):
            raise OptionError(f"Job {number}: it needs a target and an output, as text.")
        known = _options_of(_is_photo(one))
        usual = {key: value for key, value in defaults.items() if key.replace("-", "_") in known}
        values = {**usual, **one}
        for option in refused:
            if option in values:
                raise OptionError(
                    f"Job {number}: --{option} goes with the command, for all of its jobs."
                )
        num_characters += len(str(values))
        if num_characters > MAX_ALL:
            raise MediaError(
                f"{name}: its jobs have more than {MAX_ALL} characters, with defaults."
            )
        yield {key: _beside(path, key, value) for key, value in values.items()}


def _parsed(name: str, text: str) -> dict[str, object]:
    if "'''" in text or '"""' in text:  # behind whose end quotes mean the opposite
        raise MediaError(f"{name} has a text in three quotation marks. Use one on each side.")
    if _DEEP_KEY.search(_QUOTED.sub("q", text)):  # whose reading takes the square of its depth
        raise MediaError(f"{name} has a key of many parts, and so holds no jobs.")
    return tomllib.loads(text)


def _beside(path: Path, key: str, value: object) -> object:
    """A path, or several, that a file of jobs names: from its own folder on."""
    if isinstance(value, list):
        return [_beside(path, key, one) for one in value]
    if not isinstance(value, str):
        return value
    if key == "assign":
        source, _, who = value.partition("=")
        who = who if who.startswith("#") or not who else str(path.parent / who)
        return f"{path.parent / source}={who}"
    return str(path.parent / value) if key.replace("_", "-") in PATHS else value


def _job(number: int, values: Values) -> Job:
    is_photo = _is_photo(values)
    words = []
    for key, value in values.items():
        if not _KEY.fullmatch(key):  # it would be read as another option, or a value
            raise OptionError(f"Job {number}: {printable(key)!r:.80} is no option's name.")
        for one in value if isinstance(value, list | tuple) else (value,):
            if "\0" in str(one):
                raise OptionError(f"Job {number}: {key} holds a null character. Remove it.")
            if len(str(one)) > MAX_VALUE:
                raise OptionError(
                    f"Job {number}: {key} has {len(str(one))} characters. Up to {MAX_VALUE} are "
                    "possible."
                )
            if one is True:
                words.append(_typed(key))
            elif one is not None and one is not False:
                words.append(f"{_typed(key)}={one}")
    try:
        arguments = _parser(is_photo).parse_args(words)
        if not is_photo:
            video.video_options(arguments)
    except OptionError as error:
        raise OptionError(f"Job {number} ({printable(str(values['target']))}): {error}") from error
    return Job(is_photo, tuple(words), arguments)


def _is_photo(values: Values) -> bool:
    return Path(str(values["output"])).suffix.lower() in OUTPUT_SUFFIXES


def _parser(is_photo: bool) -> _JobParser:
    parser = _JobParser(add_help=False, allow_abbrev=False)
    (image if is_photo else video).add_options(parser)
    parser.set_defaults(parser=parser)
    return parser


def _options_of(is_photo: bool) -> set[str]:
    """Names of all options of a command, as it holds them."""
    needed = "--source=-", "--target=-", "--output=-"
    return set(vars(_parser(is_photo).parse_args(needed)))


def _typed(key: str) -> str:
    return f"--{key.replace('_', '-')}"


def _check_outputs(jobs: list[Job]) -> None:
    """Raise MediaError if a result would take the place of another, or of what jobs read."""
    read = {Path(job.target).resolve() for job in jobs}
    read |= {Path(name).resolve() for job in jobs for name in job.arguments.source or ()}
    pairs = [pair for job in jobs for pair in job.arguments.assign or ()]
    read |= {Path(name).resolve() for pair in pairs for name in pair if isinstance(name, str)}
    taken: set[Path] = set()
    for job in jobs:
        output = job.output.resolve()
        if output in taken or output in read:
            what = "another job's result" if output in taken else "an input"
            raise MediaError(f"The output {job.output} would overwrite {what}. Rename one.")
        taken.add(output)


def _check_places(jobs: list[Job], folder: Path) -> None:
    """Raise MediaError if a job of somebody's file would write outside of the file's folder."""
    for job in jobs:
        for place in (job.arguments.output, getattr(job.arguments, "job_folder", None)):
            if place is not None and folder.resolve() not in Path(place).resolve().parents:
                raise MediaError(
                    f"{printable(str(place))} lies outside of the folder of the file of jobs. Name "
                    "a place below it, or say --anywhere if you know what the file does."
                )


def _make(folder: Path) -> None:
    if not folder.is_dir():
        check_writable(folder)
        folder.mkdir()
