"""Segments made by a cluster's processes: the same video, whoever makes which."""

import sys
from pathlib import Path

import pytest

from simswap import ModelError, SwapOptions
from simswap.__main__ import main
from simswap.cluster import open_cluster
from simswap.video.job import VideoJob
from simswap.video.on_cluster import Cluster, ModelSource, make_segment
from tests.support.examples import EXAMPLES
from tests.support.media.face_videos import NUM_FRAMES, SHORT_SEGMENTS
from tests.support.media.video_files import same_but_for_the_signature

pytestmark = pytest.mark.slow

OPTIONS = SwapOptions(faces="largest")


@pytest.fixture(scope="module")
def swapper(quick_swapper):
    """Who makes a segment does not depend on what is seen in it."""
    return quick_swapper


@pytest.fixture(scope="module")
def source(quick_folder) -> ModelSource:
    """The same model, for other processes."""
    return ModelSource(str(quick_folder))


@pytest.fixture(scope="module")
def local(swapper, face_clip, identity, tmp_path_factory) -> Path:
    """What this process makes of the clip."""
    output = tmp_path_factory.mktemp("local") / "out.mp4"
    swapper.swap_video(face_clip, output, identity, OPTIONS, video=SHORT_SEGMENTS)
    return output


def test_segments_made_elsewhere_in_any_order_give_the_same_bytes(
    swapper, source, face_clip, identity, local, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    def last_first(function, tasks):
        return map(function, reversed(tasks))

    report = swapper.swap_video(
        face_clip,
        "out.mp4",
        identity,
        OPTIONS,
        video=SHORT_SEGMENTS,
        cluster=Cluster(last_first, source),
    )
    assert report.frames == NUM_FRAMES
    assert same_but_for_the_signature(tmp_path / "out.mp4", local)
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_two_workers_of_a_ray_cluster_give_the_same_bytes(
    swapper, source, face_clip, identity, local, tmp_path
):
    pytest.importorskip("ray", reason='needs Ray: pip install -e ".[cluster]"')
    output = tmp_path / "out.mp4"
    with open_cluster("") as run:
        where = Cluster(run, source)
        swapper.swap_video(
            face_clip, output, identity, OPTIONS, video=SHORT_SEGMENTS, cluster=where
        )
    assert same_but_for_the_signature(output, local)


def test_a_machine_with_another_model_is_told(tiny_swapper, face_clip, identity, tmp_path):
    job = VideoJob.plan(
        tiny_swapper, face_clip, tmp_path / "out.mp4", identity, OPTIONS, SHORT_SEGMENTS
    )
    with pytest.raises(ModelError, match="has another model than"):
        make_segment(job, ModelSource(), 0)


def test_the_shell_says_what_a_cluster_needs(face_clip, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray", None)
    source, output = EXAMPLES / "astronaut.jpg", tmp_path / "out.mp4"
    words = ["--source", source, "--target", face_clip, "--output", output, "--cluster"]
    assert main(["video", *map(str, words)]) == 1
    assert 'needs Ray, which is not installed: pip install -e ".[cluster]"' in (
        capsys.readouterr().err
    )
    assert list(tmp_path.iterdir()) == []
