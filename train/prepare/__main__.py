"""`python -m train.prepare --data SOURCE --output FOLDER`: photos -> shards fit for training.

Faces are found where there are no landmarks, cut out with their surroundings and shrunk to what
training needs; a person's photos come to stand together in one output shard. The same command
again goes on where the last one stopped. README.md becomes the data set's card, which
--push-to-hub uploads with the shards, to a private repository if nothing else is asked for.

Limits: a task holds 64 MB of encoded photos, and an output shard's rows when it is written. Since
a person's photos are not split, a shard is as large as its most photographed person makes it. A
cluster's machines must see the data, this code and the output folder under the same paths.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from simswap.errors import SimSwapError
from simswap.geometry import TEMPLATES
from train.data.shards import Columns
from train.errors import TrainingError
from train.prepare.dataset import logger, prepare, table
from train.prepare.photos import PhotoSettings
from train.prepare.publishing import push, write_card
from train.prepare.shards import SAME_PERSON, UNCHECKED, PrepareSettings
from train.prepare.tasks import Place
from train.publish.repository import Repository


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)  # not the root: HTTP clients would report every request
    try:
        chosen = make_parser().parse_args(arguments)
        settings, folder, place = read_settings(chosen)
        repository = _repository(chosen)  # whether it may be written to, before the work
        report = prepare(settings, folder, place)
        if repository:
            address = push(folder, report, repository, chosen.licence)
        else:
            write_card(folder, report, chosen.licence)
    except SimSwapError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped. The same command goes on from here.", file=sys.stderr)
        return 130
    print(table(report))
    if repository:
        print(f"Pushed to {address}")
    return 0


def read_settings(chosen: argparse.Namespace) -> tuple[PrepareSettings, Path, Place]:
    """What the command line asks for. Raises TrainingError for a value out of range."""
    photos = PhotoSettings(
        **{name: getattr(chosen, name) for name in PhotoSettings.__dataclass_fields__}
    )
    columns = Columns(chosen.image_column, chosen.identity_column, chosen.landmarks_column)
    settings = PrepareSettings(
        _absolute(chosen.data),
        columns,
        chosen.split,
        chosen.revision,
        chosen.model and _absolute(chosen.model),
        photos,
        chosen.rows_per_shard,
        chosen.parts,
        chosen.same_person,
        chosen.hold_out and str(chosen.hold_out.expanduser().resolve()),
        chosen.hold_out_share,
        chosen.hold_out_pairs,
    )
    place = Place(chosen.workers, chosen.cluster, chosen.gpus_per_task)
    return settings, Path(chosen.output).expanduser().resolve(), place


def _repository(chosen: argparse.Namespace) -> Repository | None:
    if not chosen.push_to_hub:
        return None
    if not chosen.licence:
        raise TrainingError(
            "--push-to-hub needs --licence: the terms under which these photos may be passed on, "
            'such as --licence "CC BY-NC 4.0".'
        )
    return Repository(chosen.push_to_hub, "dataset", private=not chosen.public)


def _absolute(source: str) -> str:
    """A local path as every process sees it, whatever folder it runs in; others unchanged."""
    path = Path(source).expanduser()
    return str(path.resolve()) if path.exists() else source


def make_parser() -> argparse.ArgumentParser:
    """The command's flags."""
    parser = argparse.ArgumentParser(
        prog="python -m train.prepare",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", required=True, help="Hub id, folder, pattern or addresses of shards or photos")
    add("--output", required=True, help="folder for the shards and report.json")
    for name, inside in (("image", "jpg"), ("identity", "json.id"), ("landmarks", "json.points")):
        hint = f"default: {name}; of a webdataset such as {inside}"
        add(f"--{name}-column", default=name, help=hint)
    add("--split", default="train", help="of a Hub data set")
    add("--revision", help="of a Hub data set")
    add("--model", help="bundle whose detector finds faces; default: the bundled one")
    add("--template", choices=sorted(TEMPLATES), default="simswap_frontal", help="of the crops")
    add("--crop-size", type=int, default=512, help="px; the largest crop training will cut")
    add("--min-crop", type=int, default=64, help="px; drop faces whose crop covers less")
    add("--max-outside", type=float, default=0.1, help="share of a crop outside of its photo")
    add("--image-format", choices=("webp", "jpeg", "png"), default="webp")
    add("--quality", type=int, default=95, help="of WebP and JPEG, 1 to 100")
    add("--min-score", type=float, default=0.7, help="detector's confidence, 0 to 1")
    add("--redetect", action="store_true", help="find faces also where landmarks are given")
    add("--one-face", action="store_true", help="drop photos with several faces found in them")
    hint = "photos that look like another person than most under their name: count or drop them"
    add("--same-person", choices=SAME_PERSON, default=UNCHECKED, help=hint)
    hint = "make an evaluation folder of some people, whom training then never sees"
    add("--hold-out", type=Path, metavar="FOLDER", help=hint)
    hint = "of the people, chosen by their names; default: 0.02"
    add("--hold-out-share", type=float, default=PrepareSettings.hold_out_share, help=hint)
    add("--hold-out-pairs", type=int, default=PrepareSettings.hold_out_pairs, help="default: 300")
    add("--rows-per-shard", type=int, default=2000, help="about; a person is never split")
    add("--parts", type=int, help="tasks for each input shard; default: as the source suggests")
    add("--workers", type=int, default=1, help="processes on this machine")
    where = "run on Ray: on the cluster at ADDRESS (auto: the one here), else on a new one here"
    add("--cluster", nargs="?", const="", metavar="ADDRESS", help=where)
    add("--gpus-per-task", type=float, default=0.0, help="share of a cluster's GPU, such as 0.25")
    add("--licence", default="", help="of the photos, for the card: a sentence, or a known name")
    add("--push-to-hub", metavar="USER/NAME", help="upload the result as a data set")
    add("--public", action="store_true", help="do not ask for a private repository")
    return parser


if __name__ == "__main__":
    sys.exit(main())
