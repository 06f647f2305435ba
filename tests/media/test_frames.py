"""Which files of a folder are a video's frames."""

from simswap.media.frames import FrameFolder


def test_hidden_files_are_no_frames(tmp_path):
    for name in ("frame_10.png", "frame_2.png", "._frame_2.png", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).write_bytes(b"\0\5\26\7")
    folder = FrameFolder.plan(tmp_path, tmp_path / "results")
    assert [path.name for path in folder.inputs] == ["frame_2.png", "frame_10.png"]
