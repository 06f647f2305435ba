import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from simswap.__main__ import COMMANDS, NOT_TOLD, main
from simswap.media.photos import read_photo
from simswap.provenance.metadata import read_label
from tests.support.examples import EXAMPLES, ROOT

ASTRONAUT, HOPPER = str(EXAMPLES / "astronaut.jpg"), str(EXAMPLES / "grace_hopper.jpg")
BOTH = str(EXAMPLES / "two_portraits.jpg")  # the admiral's face is the larger, at the right


def run_shell(*arguments, **options):
    command = [sys.executable, "-m", "simswap", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def difference(path, target):
    """[H, W] absolute difference between two photos."""
    pixels = [read_photo(name).image.astype(int) for name in (path, target)]
    return np.abs(pixels[0] - pixels[1]).sum(-1)


def test_image_writes_a_marked_swap_of_the_targets_size_and_prints_its_path(tmp_path, capsys):
    output = str(tmp_path / "out.png")
    assert main(["image", "--source", HOPPER, "--target", ASTRONAUT, "--output", output]) == 0
    assert capsys.readouterr().out == f"{output}\n"
    changed = difference(output, ASTRONAUT) > 0
    assert changed.any()
    assert not changed[300:].any()  # below the face
    assert read_label(output).software.startswith("SimSwap")
    assert [path.name for path in tmp_path.iterdir()] == ["out.png"]


def test_image_takes_several_source_photos(tmp_path, capsys):
    output = str(tmp_path / "out.webp")
    sources = ["--source", HOPPER, "--source", HOPPER]
    assert main(["image", *sources, "--target", ASTRONAUT, "--output", output]) == 0
    assert "Swapped 1 of 1 face" in capsys.readouterr().err


def test_image_swaps_only_the_faces_asked_for(tmp_path, capsys):
    output = str(tmp_path / "out.png")
    files = ["--source", HOPPER, "--target", BOTH, "--output", output]
    assert main(["image", *files, "--faces", "0"]) == 0
    changed = (difference(output, BOTH) > 0).any(axis=0)
    assert changed[480:].any() != changed[:480].any()
    assert "Swapped 1 of 2 faces" in capsys.readouterr().err


@pytest.mark.slow
def test_image_keeps_transparency_or_says_that_it_cannot(tmp_path, capsys):
    photo = Image.open(ASTRONAUT)
    photo.putalpha(77)
    photo.save(tmp_path / "clear.png")
    files = ["--source", HOPPER, "--target", str(tmp_path / "clear.png"), "--output"]
    assert main(["image", *files, str(tmp_path / "out.png")]) == 0
    assert "transparency" not in capsys.readouterr().err
    assert (read_photo(tmp_path / "out.png").alpha == 77).all()
    assert main(["image", *files, str(tmp_path / "out.jpg")]) == 0
    assert "a JPEG holds no transparency" in capsys.readouterr().err


def test_faces_lists_the_largest_first(capsys):
    assert main(["faces", BOTH]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 faces in 960x480 pixels"
    assert [line[:2] for line in lines[1:]] == ["0:", "1:"]


def test_faces_as_json_gives_boxes_and_landmarks(capsys):
    assert main(["faces", BOTH, "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["width"], listed["height"]) == (960, 480)
    for number, face in enumerate(listed["faces"]):
        assert face["number"] == number
        assert 0.6 < face["score"] <= 1
        x0, y0, x1, y1 = face["box"]
        assert all(x0 < x < x1 and y0 < y < y1 for x, y in face["landmarks"])


def test_faces_of_a_photo_without_any_is_an_empty_list(tmp_path, capsys):
    Image.new("RGB", (200, 200), "grey").save(tmp_path / "grey.png")
    assert main(["faces", str(tmp_path / "grey.png"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["faces"] == []


def test_verify_tells_a_marked_photo_by_its_exit_code_and_in_words(tmp_path, capsys):
    from simswap.media.photos import write_photo

    write_photo(tmp_path / "out.jpg", np.zeros((20, 20, 3), np.uint8), model="lite")
    assert main(["verify", str(tmp_path / "out.jpg")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Marked as synthetic: this installation signed the photo and says")
    assert "this installation's own certificate" in said
    assert "with the model “lite”" in said


def test_verify_does_not_call_an_unmarked_photo_real(capsys):
    assert main(["verify", ASTRONAUT]) == 1
    assert "does not prove the photo is real" in capsys.readouterr().out


def test_verify_tells_of_a_file_of_which_it_could_not_read_all_by_its_exit_code(tmp_path):
    Image.open(ASTRONAUT).save(tmp_path / "cut.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "cut.png").read_bytes()[:-300])
    assert main(["verify", "--metadata-only", str(tmp_path / "cut.png")]) == NOT_TOLD


def test_verify_as_json_has_the_facts_and_the_words(tmp_path, capsys):
    from simswap.media.photos import write_photo

    write_photo(tmp_path / "out.jpg", np.zeros((20, 20, 3), np.uint8), model="lite")
    assert main(["verify", str(tmp_path / "out.jpg"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["verdict"], told["credentials"]["standing"]) == ("marked", "own")
    assert told["headline"].startswith("Marked as synthetic")


def test_torch_is_not_imported_for_what_needs_no_model():
    code = (
        "import sys; from simswap.__main__ import NOT_TOLD, main; main(['verify', 'absent.png']);"
        "main(['image', '--source', 'a', '--target', 'b', '--output', 'c.png']);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_an_interrupt_leaves_quietly(monkeypatch, capsys):
    def interrupt(path, max_pixels):
        raise KeyboardInterrupt

    monkeypatch.setattr("simswap.media.photos.read_photo", interrupt)
    assert main(["faces", ASTRONAUT]) == 130
    assert capsys.readouterr() == ("", "")


def test_a_reader_that_leaves_early_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-m", "simswap", "verify", "--metadata-only", ASTRONAUT],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait() == NOT_TOLD


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit, match="0"):
        main([command, "--help"])
    assert "usage" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    code = (
        "import contextlib, sys; from simswap.__main__ import COMMANDS, main\n"
        "for words in [[], *([command] for command in COMMANDS)]:\n"
        "    with contextlib.suppress(SystemExit): main([*words, '--help'])\n"
        "heavy = {'numpy', 'cv2', 'PIL', 'av', 'torch', 'huggingface_hub', 'c2pa'}\n"
        "sys.stderr.write(' '.join(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("usage") == 1 + len(COMMANDS)


def test_help_states_the_defaults_that_videos_have(capsys):
    from simswap import VideoOptions

    with pytest.raises(SystemExit):
        main(["video", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert f"(default {VideoOptions().preset})" in said
    assert f"faster (default {VideoOptions().detect_every})" in said


@pytest.mark.slow
def test_the_command_works_from_a_cold_start(tmp_path):
    output = str(tmp_path / "out.jpg")
    done = run_shell("image", "--source", HOPPER, "--target", ASTRONAUT, "--output", output)
    assert (done.returncode, done.stdout) == (0, f"{output}\n")
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["Loading", "Swapped"]
