"""Files of an earlier run that are no longer what it wrote: each is named, and nothing goes on."""

import pytest

from simswap.geometry import TEMPLATES
from tests.support.training.shard_sources import encoded, write_parquet
from train.errors import TrainingError
from train.prepare.dataset import prepare
from train.prepare.shards import PrepareSettings
from train.prepare.tasks import Place


@pytest.mark.parametrize("text", ["[" * 100_000, "[1]", "{"])
@pytest.mark.parametrize(
    "name", ["report.json", ".prepare/settings.json", ".prepare/unit-00000-000.json"]
)
def test_a_file_of_ours_that_is_damaged_is_named(tmp_path, name, text):
    photo = {"image": {"bytes": encoded(0, 112), "path": None}, "identity": "a"}
    photo["landmarks"] = (TEMPLATES["arcface"] * 112).tolist()
    write_parquet(tmp_path / "photos.parquet", [photo])
    output = tmp_path / "output"
    (output / ".prepare").mkdir(parents=True)
    (output / name).write_text(text)
    with pytest.raises(TrainingError, match=f"{name} is damaged"):
        prepare(PrepareSettings(str(tmp_path / "photos.parquet"), num_parts=1), output, Place())
