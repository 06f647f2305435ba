import json

import pytest

from simswap.__main__ import main
from simswap.cli.benchmark import photo as photo_benchmark
from tests.support.media.face_videos import make_face_video


def test_the_benchmark_photo_has_the_size_asked_for_and_one_face(swapper):
    photo = photo_benchmark.make_photo(640, 360)
    assert photo.shape == (360, 640, 3)
    assert len(swapper.detect(photo)) == 1


@pytest.mark.slow
def test_benchmark_measures_the_stages_and_prints_them_as_json_or_a_table(capsys):
    assert main(["benchmark", "--repeat", "1", "--size", "320x200", "--json"]) == 0
    report = photo_benchmark.Report(**json.loads(capsys.readouterr().out))
    steps = ["detect", "align", "embed the target's faces", "generate", "watermark", "paste"]
    assert [stage for stage in report.stages if stage in steps] == steps
    assert list(report.writing) == ["sign a PNG", "write a signed PNG"]
    assert 0 < report.generator_gmac <= 3
    assert 100 < report.peak_memory_mb < 10_000
    assert list(report.in_torch) == [
        "detect",
        "embed the target's faces",
        "generate",
        "embed a source face",
        "swap",
    ]
    assert report.max_difference < 0.02
    table = photo_benchmark.to_markdown(report)
    for stage, milliseconds in report.stages.items():
        assert f"| {stage} | {milliseconds:.1f} |" in table
    assert f"| **{report.swap:.1f}** |" in table


@pytest.mark.slow
@pytest.mark.usefixtures("quick_by_default")
def test_benchmark_times_a_video_also_without_swapping_and_as_the_published_network(
    astronaut, tmp_path, capsys
):
    clip = make_face_video(tmp_path / "in.mp4", astronaut, num_frames=1)
    assert main(["benchmark", "--video", str(clip)]) == 0
    table = capsys.readouterr().out
    for way in ("decode and encode alone", "published 224 network", "`swap_video`, detect_every=1"):
        row = next(line for line in table.splitlines() if way in line)
        assert float(row.split("|")[2]) > 0
