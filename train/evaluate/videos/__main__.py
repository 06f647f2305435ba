"""Judge swapped videos, of any system and of our models.

    python -m train.evaluate.videos --pairs videos.csv --data ../shared/data \
        --results theirs=FOLDER --model assets/models/simswap-lite-128 --json runs/videos.json

videos.csv has the columns source (photo or video) and target (video). FOLDER holds 0.mp4, 1.mp4,
... after the pairs' places in it. Each --model swaps the targets whole, to files which are judged
like everybody's. "No swap" is the target itself. Judges are looked for in DATA/models.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from simswap import FaceSwapper, SimSwapError
from simswap.weights.bundle import find_bundle, read_config
from train.evaluate.__main__ import (
    add_judges,
    add_results,
    check_json,
    positive,
    say,
    write_json,
)
from train.evaluate.judge_files import find_judges, teachers_of
from train.evaluate.judges import FEATURE_SPACE, load_judges
from train.evaluate.methods import OPTIONS
from train.evaluate.videos.figures import VideoFigures, figures_by_video, to_markdown
from train.evaluate.videos.measuring import Looks, VideoMeasurements, measure_video
from train.evaluate.videos.pairs import VideoPair, load_video_pairs, read_source, result_files

NO_SWAP = "no swap"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; write the JSON if asked. Returns the exit code."""
    arguments = _parse(argv)
    try:
        check_json(arguments.json)
        pairs = load_video_pairs(arguments.pairs, arguments.limit)
        models = arguments.data / "models"
        files = find_judges(
            models if models.is_dir() else arguments.data,
            *(arguments.judge, arguments.pose_judge, arguments.landmark_judge),
        )
        bundles = {name: read_config(find_bundle(name)) for name in arguments.model}
        teachers = [name for one in bundles.values() for name in teachers_of(one.training)]
        detecting = FaceSwapper.from_pretrained(device=arguments.device)
        judges = load_judges(files, teachers, detecting.device)
        results = {name: result_files(folder, pairs) for name, folder in arguments.results}
        with tempfile.TemporaryDirectory() as passing:
            kept = arguments.keep or Path(passing)
            for model, config in bundles.items():
                swapper = FaceSwapper.from_pretrained(model, device=arguments.device)
                results[config.name] = swap_all(swapper, pairs, kept / config.name)
            looks = Looks(arguments.frames, arguments.run)
            measured = {name: [] for name in (*results, NO_SWAP)}
            for pair in pairs:
                paths = {name: of.get(pair.number) for name, of in results.items()}
                found = measure_video(
                    pair, paths | {NO_SWAP: None}, len(pairs), detecting, judges, looks
                )
                for name, video in found.items():
                    measured[name].append(video)
                say(f"{pair.number + 1} of {len(pairs)} videos judged")
        figures = {name: VideoFigures.of(videos) for name, videos in measured.items()}
        print(to_markdown(figures, looks, judges.notes))
        if arguments.json:
            judged_by = [file.name for file in files.all_paths]
            write_json(arguments.json, _as_json(measured, figures, judged_by, judges.notes))
    except SimSwapError as error:
        say(f"Error: {error}")
        return 1
    return 0


def swap_all(swapper: FaceSwapper, pairs: Sequence[VideoPair], folder: Path) -> dict[int, Path]:
    """What our pipeline makes of the pairs, as users meet it: by pair, the file in `folder`.

    Of a source video, the identity is the mean of ten frames. Raises SimSwapError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for pair in pairs:
        frames = read_source(pair.source, Looks.frames)
        seen = [frame for frame in frames if len(frames) == 1 or swapper.detect(frame)]
        files[pair.number] = folder / f"{pair.number}.mp4"
        swapper.swap_video(pair.target, files[pair.number], swapper.identity_of(seen), OPTIONS)
        say(f"{pair.number + 1} of {len(pairs)} videos swapped by {folder.name}")
    return files


def _as_json(
    measured: Mapping[str, Sequence[VideoMeasurements]],
    figures: Mapping[str, VideoFigures],
    judges: Sequence[str],
    notes: Sequence[str],
) -> dict[str, object]:
    return {
        "judges": list(judges),
        "feature_space": FEATURE_SPACE,
        "figures": {name: of_system.to_json() for name, of_system in figures.items()},
        "videos": {name: figures_by_video(videos) for name, videos in measured.items()},
        "notes": list(notes),
    }


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m train.evaluate.videos", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--pairs", type=Path, required=True, metavar="CSV", help="columns source, target")
    add("--data", type=Path, required=True, help="folder of the judges, or the one above models/")
    add_results(parser, "videos", "0.mp4, 1.mp4")
    add("--model", action="append", default=[], help="bundle folder or Hub repo id; repeat it")
    add("--keep", type=Path, metavar="FOLDER", help="keep what models make, in FOLDER/NAME")
    add("--limit", type=positive, metavar="N", help="only the first N pairs")
    add("--frames", type=positive, default=Looks.frames, help="of each video, for the judges")
    add("--run", type=int, default=Looks.run, help="frames in a row, for steadiness; 0: none")
    add_judges(parser)
    add("--json", type=Path, metavar="FILE", help="write every figure there, also by video")
    add("--device", help="such as cpu or cuda:1 (default: CUDA where there is one)")
    chosen = parser.parse_args(argv)
    if chosen.run < 0:
        parser.error(f"--run {chosen.run} is below 0")
    if not chosen.results and not chosen.model:
        parser.error("name what is to be judged: --results NAME=FOLDER, --model, or both")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
