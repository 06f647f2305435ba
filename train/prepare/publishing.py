"""A prepared data set's card, and the way to the Hub."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData
from huggingface_hub.errors import HTTPError

from simswap.files import replaced
from train.errors import TrainingError
from train.publish.licences import licence_fields
from train.publish.repository import Repository

CARD_FILE = "README.md"
SIZES = (("n<1K", 10**3), ("1K<n<10K", 10**4), ("10K<n<100K", 10**5), ("100K<n<1M", 10**6))

TEMPLATE = Path(__file__).with_name("card.md")


def write_card(folder: Path, report: Mapping[str, object], licence: str, name: str = "") -> None:
    """Write the folder's data set card.

    report: what report.json holds; licence: of the photos, in a sentence or more, "" if nobody
    said; name: the repository where the card will lie, "user/name", "" if there is none.
    Raises OSError if it cannot be written.
    """
    with replaced(folder / CARD_FILE) as part:
        part.write_text(_card(folder, report, licence, name), encoding="utf-8")


def push(folder: Path, report: Mapping[str, object], repository: Repository, licence: str) -> str:
    """Upload a prepared data set's shards and card in one commit; its address.

    report.json stays here: it names this machine's folders. Shards of an earlier, larger set stay
    in the repository, but the card lists this set's only. Raises TrainingError if that fails.
    """
    write_card(folder, report, licence, repository.repo_id)
    try:
        repository.api.upload_folder(
            repo_id=repository.repo_id,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=[CARD_FILE, *report["shards"]],
            commit_message=f"{report['written']:,} photos",
        )
    except (HTTPError, OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"{repository.explain(error)} What is prepared is kept; the same command tries again."
        ) from error
    return f"{repository.api.endpoint}/datasets/{repository.repo_id}"


def _card(folder: Path, report: Mapping[str, object], licence: str, name: str) -> str:
    shards, photos = report["shards"], report["settings"]["photos"]
    pattern = f"train-*-of-{shards[0].rpartition('-of-')[2]}"
    header = DatasetCardData(
        **licence_fields(licence),
        tags=["face-swapping", "simswap"],
        size_categories=next((size for size, most in SIZES if report["written"] < most), "n>1M"),
        configs=[
            {"config_name": "default", "data_files": [{"split": "train", "path": pattern}]},
        ],
    )
    text = TEMPLATE.read_text(encoding="utf-8").format(
        **{key: report[key] for key in ("written", "identities", "unlabelled", "rows")},
        **{key: report[key] for key in ("detected", "several_faces")},
        header=header.to_yaml(),
        shards=len(shards),
        megabytes=report["bytes"] / 1e6,
        licence=licence or "not stated: ask whoever made this set.",
        format=photos["image_format"],
        crop_size=photos["crop_size"],
        template=photos["template"],
        left_out="\n".join(f"| left out: {why} | {n:,} |" for why, n in report["dropped"].items()),
        name=name or folder.name,
    )
    return str(DatasetCard(text.replace("|\n\n|", "|\n|")))
