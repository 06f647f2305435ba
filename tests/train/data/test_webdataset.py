"""Webdatasets as interrupted downloads and Macs leave them."""

import tarfile

from tests.support.training.shard_sources import make_records, write_tar
from train.data.shards import Columns, open_photos


def test_a_webdataset_may_lack_files_of_its_first_samples(tmp_path):
    write_tar(tmp_path / "whole.tar", make_records(9))
    lacking = {"0000.json", "0002.png", "0007.png"}
    with (
        tarfile.open(tmp_path / "whole.tar") as whole,
        tarfile.open(tmp_path / "part.tar", "w") as part,
    ):
        for member in whole:
            beside = tarfile.TarInfo(f"./._{member.name}")  # as a Mac writes it
            part.addfile(beside)
            if member.name not in lacking:
                part.addfile(member, whole.extractfile(member))
    columns = Columns("png", "json.identity", "json.landmarks")
    rows = list(open_photos(str(tmp_path / "part.tar"), columns).rows(0))
    assert [number for number, row in enumerate(rows) if not row.image] == [2, 7]
    assert [number for number, row in enumerate(rows) if row.identity is None] == [0]
