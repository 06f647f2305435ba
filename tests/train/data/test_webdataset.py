"""Webdatasets as interrupted downloads and Macs leave them."""

import gzip
import io
import tarfile

from simswap.media.photos import MAX_FILE_BYTES
from tests.support.training.shard_sources import make_records, write_tar
from train.data.shards import Columns, open_photos
from train.data.webdataset import IncompleteWebDataset


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


def test_of_a_file_in_an_archive_no_more_is_read_than_a_photo_may_have():
    class Endless(io.RawIOBase):
        def read(self, size=-1):
            assert 0 <= size <= MAX_FILE_BYTES
            return b"\0" * min(size, 10)

    archive = [("0.png", Endless()), ("0.json", io.BytesIO(b"{}"))]
    archive.append(("0.cls.GZ", io.BytesIO(gzip.compress(b"7"))))
    archive.append(("0.npz", io.BytesIO(b"an array of any size")))
    (sample,) = IncompleteWebDataset._get_pipeline_from_tar("a.tar", archive)
    assert sample["png"] == b"\0" * 10
    assert sample["json"] == {}
    assert not any(field.startswith(("cls", "npz")) for field in sample)
