"""The shell commands of `python -m simswap`; `--help` lists them.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 refused for a reason told
in plain words, 2 a command line that is wrong, 130 interrupted. `verify` ends with 0 if something
says that the file is synthetic, with 1 if nothing does, and with 3 if that could not be told.
Torch is imported only after the arguments and the files have been found sound.
"""

from __future__ import annotations

import json
import os
import sys
import time
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from simswap.cli import convert, deploy, download
from simswap.cli import video as video_command
from simswap.cli.options import parse, swap_options
from simswap.errors import MediaError, SimSwapError
from simswap.files import printable
from simswap.media.photos import Photo, check_output, read_photo, write_photo
from simswap.memory import OUT_OF_MEMORY, is_out_of_memory
from simswap.types import Face
from simswap.verify.report import details, headline, look_for_pixel_mark, verify
from simswap.video.words import told

if TYPE_CHECKING:
    from simswap.swapper import FaceSwapper

NOT_TOLD = 3  # exit code of `verify`


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Raises SystemExit(2) for a wrong command line."""
    commands = {
        "image": _image,
        "video": _video,
        "faces": _faces,
        "verify": _verify,
        "benchmark": _benchmark,
        "convert": _convert,
        "download": _download,
        "deploy": _deploy,
    }
    _prepare_streams()
    failed = 1
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        failed = NOT_TOLD if arguments.command == "verify" else failed
        code = commands[arguments.command](arguments)
        sys.stdout.flush()
        return code
    except SimSwapError as error:
        _say(f"Error: {error}")
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        _drop_output()
    except KeyboardInterrupt:
        return 130
    except (MemoryError, RuntimeError, OSError, ImportError, cv2.error) as error:
        if is_out_of_memory(error):
            _say(f"Error: {OUT_OF_MEMORY}")
        elif isinstance(error, OSError):  # such as a disk that went away
            where = printable(str(error.filename or ""), limit=200)
            told = f"{error.strerror or error} {where}".strip()
            _say(f"Error: {told}. Check the path, the disk and its rights.")
            _drop_output()
        else:
            raise
    return failed


def _prepare_streams() -> None:
    """A stream that was closed swallows what it is told; no name is beyond a stream's encoding."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    """Forget what could not be written, which Python would try once more at its end."""
    with suppress(OSError):  # a stream that is no file needs none of this
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _image(arguments: Namespace) -> int:
    options = swap_options(arguments)
    target = _read(arguments.target)
    height, width = target.image.shape[:2]
    check_output(arguments.output, size=(width, height))
    sources = [_read(path) for path in arguments.source]
    _refuse_overwriting(arguments.output, [arguments.target, *arguments.source])
    if target.alpha is not None and Path(arguments.output).suffix.lower() in (".jpg", ".jpeg"):
        _say("Note: a JPEG holds no transparency. Write a .png or .webp to keep the target's.")
    swapper = _load_swapper(arguments.model, arguments.detector)
    identity = swapper.identity_of([photo.image for photo in sources])
    _notes(identity.notices)
    started = time.perf_counter()
    result = swapper.swap_image(target.image, identity, options)
    seconds = time.perf_counter() - started
    _notes(result.notices)
    written = write_photo(
        arguments.output, result.image, like=target, model=swapper.name, quality=arguments.quality
    )
    _notes(written)
    _say(f"Swapped {len(result.swapped)} of {_count(result.faces)} in {seconds:.2f} s.")
    print(os.fsencode(arguments.output).decode(errors="backslashreplace"))
    return 0


def _video(arguments: Namespace) -> int:
    options, video = swap_options(arguments), video_command.video_options(arguments)
    swap = video_command.planned(arguments, video)
    sources = [_read(path) for path in arguments.source]
    _refuse_overwriting(arguments.output, arguments.source)
    swapper = _load_swapper(arguments.model, arguments.detector)
    identity = swapper.identity_of([photo.image for photo in sources])
    _notes(identity.notices)
    bar = video_command.ProgressBar()
    try:
        report = swap(swapper, identity, options, bar.show)
    except KeyboardInterrupt:
        bar.end()
        _say(video_command.how_to_go_on(arguments, bar.newest))
        return 130
    except SimSwapError:
        bar.end()
        raise
    bar.end()
    _notes(report.notices)
    _say(told(report))
    print(os.fsencode(arguments.output).decode(errors="backslashreplace"))
    return 0


def _faces(arguments: Namespace) -> int:
    min_score = swap_options(arguments).min_score
    photo = _read(arguments.photo)
    height, width = photo.image.shape[:2]
    faces = _load_swapper(arguments.model, arguments.detector).detect(photo.image, min_score)
    if arguments.json:
        listed = [_as_json(number, face) for number, face in enumerate(faces)]
        print(json.dumps({"width": width, "height": height, "faces": listed}))
        return 0
    print(f"{_count(faces)} in {width}x{height} pixels")
    for number, face in enumerate(faces):
        x0, y0, x1, y1 = face.box
        points = " ".join(f"({x:.0f},{y:.0f})" for x, y in face.landmarks)
        print(
            f"{number}: {x1 - x0:.0f}x{y1 - y0:.0f} px at ({x0:.0f},{y0:.0f}), "
            f"score {face.score:.2f}, eyes, nose and mouth corners {points}"
        )
    return 0


def _verify(arguments: Namespace) -> int:
    report = verify(arguments.file)
    if not arguments.metadata_only:
        swapper = _load_swapper(arguments.model, arguments.detector)
        report = look_for_pixel_mark(report, arguments.file, swapper)
    if arguments.json:
        print(json.dumps(report.as_json()))
    else:
        print("\n".join([headline(report), *details(report)]))
    return 0 if report.is_marked else 1


def _benchmark(arguments: Namespace) -> int:
    if arguments.target and arguments.size:
        arguments.parser.error("--size is for the made-up photo and cannot go with --target")
    if arguments.video:
        return _benchmark_video(arguments)
    target = _read(arguments.target).image if arguments.target else None
    from simswap.cli import photo_benchmark

    if target is None:
        target = photo_benchmark.make_photo(*(arguments.size or photo_benchmark.DEFAULT_SIZE))
    report = photo_benchmark.run(
        target, arguments.model, arguments.repeat, detector=arguments.detector, on_progress=_say
    )
    print(
        photo_benchmark.to_json(report) if arguments.json else photo_benchmark.to_markdown(report)
    )
    return 0


def _benchmark_video(arguments: Namespace) -> int:
    if arguments.target or arguments.size:
        arguments.parser.error("--target and --size are for photos and cannot go with --video")
    from simswap.cli import video_benchmark

    report = video_benchmark.run(arguments.video, arguments.model, on_progress=_say)
    as_text = video_benchmark.to_json if arguments.json else video_benchmark.to_markdown
    print(as_text(report))
    return 0


def _convert(arguments: Namespace) -> int:
    folder, notes = convert.run(arguments)
    _notes(notes)
    print(os.fsencode(folder).decode(errors="backslashreplace"))
    return 0


def _download(arguments: Namespace) -> int:
    print(os.fsencode(download.run(arguments, _say)).decode(errors="backslashreplace"))
    return 0


def _deploy(arguments: Namespace) -> int:
    print(deploy.run(arguments, _say))
    return 0


def _load_swapper(model: str | None, detector: str) -> FaceSwapper:
    _say("Loading the model...")
    from simswap.swapper import FaceSwapper

    return FaceSwapper.from_pretrained(model, detector=detector)


def _read(path: str) -> Photo:
    photo = read_photo(path)
    _notes(photo.notices)
    return photo


def _refuse_overwriting(output: str, inputs: Sequence[str]) -> None:
    for path in inputs:
        if Path(output).exists() and Path(output).samefile(path):
            raise MediaError(f"The output {output} would overwrite an input. Choose another name.")


def _as_json(number: int, face: Face) -> dict[str, object]:
    return {
        "number": number,
        "box": [round(float(value), 1) for value in face.box],
        "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in face.landmarks],
        "score": round(float(face.score), 4),
    }


def _count(faces: Sequence[Face]) -> str:
    return "1 face" if len(faces) == 1 else f"{len(faces)} faces"


def _notes(notices: Sequence[str]) -> None:
    for notice in notices:
        _say(f"Note: {notice}")


def _say(text: str) -> None:
    """Text for a terminal, whatever names of files or servers' answers are in it."""
    print(printable(text, limit=5000), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
