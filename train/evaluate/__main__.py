"""Judge swaps of the evaluation pairs through the whole pipeline.

    python -m train.evaluate --model assets/models/simswap-lite-128 --data ../shared/data \
        --json runs/evaluation.json --contact-sheet runs/evaluation.png

DATA holds photos/, photos.csv and pairs.csv, itself or in its subfolder eval; the judges are
looked for in DATA/models. "No swap" and "source pasted" are the ends of the scale. Everything is
judged at the reference landmarks of photos.csv, on the swapped photo, not on the bare crop.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from simswap import FaceSwapper, SimSwapError
from simswap.files import write_whole
from simswap.media.photos import check_output, write_photo
from simswap.weights.bundle import find_bundle, read_config
from train.errors import TrainingError
from train.evaluate.contact_sheet import make_contact_sheet
from train.evaluate.evaluation import SWAPPED, Evaluation, evaluate_swapper
from train.evaluate.figures import pair_figures
from train.evaluate.judge_files import JudgeFiles, find_judges, models_folder, teachers_of
from train.evaluate.judges import FEATURE_SPACE, load_judges
from train.evaluate.methods import OPTIONS, results_method, swap_method
from train.evaluate.pairs import find_evaluation_folder, load_pairs

PROGRESS_EVERY = 20  # pairs


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; write the JSON and the contact sheet if asked. Returns the exit code."""
    arguments = _parse(argv)
    try:
        _check_outputs(arguments)
        options = replace(OPTIONS, likeness=arguments.likeness)
        folder = find_evaluation_folder(arguments.data)
        pairs = load_pairs(folder, arguments.pairs, arguments.limit)
        models = models_folder(arguments.data, folder)
        files = find_judges(models, arguments.judge, arguments.pose_judge, arguments.landmark_judge)
        config = read_config(find_bundle(arguments.model))
        teachers = teachers_of(config.training)
        others = {name: results_method(path) for name, path in arguments.results}
        for model in arguments.compare:
            other = read_config(find_bundle(model))
            teachers = (*teachers, *teachers_of(other.training))
            swap = FaceSwapper.from_pretrained(model, device=arguments.device)
            others[other.name] = swap_method(swap, options)
        swapper = FaceSwapper.from_pretrained(arguments.model, device=arguments.device)
        judges = load_judges(files, teachers, swapper.device)
        say(f"Judging {len(pairs)} pairs with {config.name} on {swapper.device}...")
        evaluation = evaluate_swapper(
            swapper, pairs, judges, options=options, others=others, on_progress=_say_progress
        )
        print(evaluation.to_markdown())
        if not teachers:
            print(
                "- The model's config.json names no teachers: whether a judge was one is unknown."
            )
        if arguments.json:
            write_json(arguments.json, _as_json(config.name, files, evaluation))
        if arguments.contact_sheet:
            measured = evaluation.measurements[SWAPPED]
            sheet = make_contact_sheet(swapper, pairs, measured)
            write_photo(arguments.contact_sheet, sheet, model=config.name)
    except SimSwapError as error:
        say(f"Error: {error}")
        return 1
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m train.evaluate", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("--model", help="bundle folder or Hub repo id (default: the bundled model)")
    add("--compare", metavar="MODEL", action="append", default=[], help="another; repeat it")
    add_results(parser, "whole photos", "0.png, 1.png")
    add("--data", type=Path, required=True, help="evaluation folder, or the folder above eval/")
    add("--pairs", type=Path, help="CSV of other pairs of the same photos (default: pairs.csv)")
    add("--limit", type=positive, metavar="N", help="only the first N pairs")
    add_judges(parser)
    add("--json", type=Path, metavar="FILE", help="write every figure there, also by pair")
    add("--contact-sheet", type=Path, metavar="FILE", help=".png of best, median, worst pairs")
    add("--likeness", type=float, default=OPTIONS.likeness, help="of the swaps (default 1)")
    add("--device", help="such as cpu or cuda:1 (default: CUDA where there is one)")
    return parser.parse_args(argv)


def add_results(parser: argparse.ArgumentParser, what: str, names: str) -> None:
    """The flag that names folders of other systems' results."""
    parser.add_argument(
        "--results",
        type=named_folder,
        metavar="NAME=FOLDER",
        action="append",
        default=[],
        help=f"{what} that another system made, called {names}, ... as the pairs are",
    )


def add_judges(parser: argparse.ArgumentParser) -> None:
    """Flags that name judges."""
    add = parser.add_argument
    add("--judge", type=Path, help="TorchScript identity judge, a program (in DATA/models)")
    add("--pose-judge", type=Path, action="append", help="FSA-Net as ONNX; repeat it: averaged")
    add("--landmark-judge", type=Path, help="PFLD with 68 points as ONNX")


def positive(text: str) -> int:
    """A flag's number."""
    number = int(text)  # argparse tells what is no number
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def named_folder(text: str) -> tuple[str, Path]:
    """A flag's NAME=FOLDER."""
    name, equals, folder = text.partition("=")
    if not (name and equals and folder):
        raise argparse.ArgumentTypeError(f"{text} is not NAME=FOLDER")
    return name, Path(folder)


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Fail now rather than after minutes of judging."""
    if arguments.contact_sheet:
        check_output(arguments.contact_sheet)
    check_json(arguments.json)


def check_json(path: Path | None) -> None:
    """Raise TrainingError if the file of --json cannot be written."""
    if path and (not path.parent.is_dir() or path.is_dir()):
        raise TrainingError(
            f"--json {path} cannot be written. Name a file in a folder that exists."
        )


def write_json(path: Path, content: dict[str, object]) -> None:
    """Write the file of --json. Raises TrainingError if it cannot be written."""
    try:
        told = json.dumps(content, indent=2, allow_nan=False) + "\n"
        write_whole(path, told.encode(), follow=True)
    except OSError as error:
        raise TrainingError(f"--json {path} cannot be written ({error.strerror}).") from error


def _as_json(model: str, files: JudgeFiles, evaluation: Evaluation) -> dict[str, object]:
    return {
        "model": model,
        "judges": [file.name for file in files.all_paths],
        "feature_space": FEATURE_SPACE,
        "figures": {name: figures.to_json() for name, figures in evaluation.figures.items()},
        "pairs": pair_figures(evaluation.measurements[SWAPPED]),
        "notes": list(evaluation.notes),
    }


def _say_progress(done: int, total: int) -> None:
    if done % PROGRESS_EVERY == 0 or done == total:
        say(f"{done} of {total} pairs judged")


def say(text: str) -> None:
    """To the person, beside the table."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
