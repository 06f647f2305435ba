"""The shell's `people` and `--assign`."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.__main__ import main
from simswap.media.photos import read_photo
from tests.support.examples import EXAMPLES
from tests.support.media.people_videos import NUM_FRAMES, make_scene, sizes

ASTRONAUT, HOPPER = str(EXAMPLES / "astronaut.jpg"), str(EXAMPLES / "grace_hopper.jpg")
BOTH = str(
    EXAMPLES / "two_portraits.jpg"
)  # the astronaut at the left, the admiral, larger, at the right


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return make_scene(tmp_path_factory.mktemp("people") / "in.mp4", sizes)


def test_people_lists_each_with_its_number_times_and_picture(clip, tmp_path, capsys):
    assert main(["people", str(clip), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["frames"], len(found["people"])) == (NUM_FRAMES[sizes], 2)
    first = found["people"][0]
    assert (first["number"], first["share"], first["first_seconds"]) == (0, 1, 0)
    assert first["last_seconds"] == pytest.approx((NUM_FRAMES[sizes] - 1) / 30, abs=1e-3)
    sheet = tmp_path / "people.png"
    assert main(["people", str(clip), "-o", str(sheet), "--end", "0.3"]) == 0
    said = capsys.readouterr()
    assert said.out == f"{sheet}\n"
    assert "0: in 100 % of the frames, from 0.00 s to 0.27 s" in said.err
    assert Image.open(sheet).size[0] == 2 * Image.open(sheet).size[1] * 160 / 188


@pytest.mark.parametrize(
    ("who", "is_right"), [(f"{HOPPER}={ASTRONAUT}", False), (f"{ASTRONAUT}=#0", True)]
)
def test_assign_swaps_one_person_of_a_photo(tmp_path, capsys, who, is_right):
    output = str(tmp_path / "out.png")
    assert main(["image", "--assign", who, "--target", BOTH, "--output", output]) == 0
    assert "Swapped 1 of 2 faces" in capsys.readouterr().err
    pixels = [read_photo(name).image.astype(int) for name in (output, BOTH)]
    changed = np.abs(pixels[0] - pixels[1]).any(axis=(0, 2))
    assert (changed[:480].any(), changed[480:].any()) == (not is_right, is_right)


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--assign", "a.jpg"], 2, "PHOTO=#NUMBER"),
        (["--assign", "a.jpg=#x"], 2, "PHOTO=#NUMBER"),
        (["--assign", f"{HOPPER}=#0", "--source", HOPPER], 2, "not allowed with"),
        ([], 2, "--source --assign is required"),
        (["--assign", f"{HOPPER}=absent.jpg"], 1, "absent.jpg does not exist"),
        (["--assign", f"{HOPPER}=#5"], 1, "no face number 5: the photo shows 2"),
    ],
)
def test_a_wrong_assignment_is_told(tmp_path, capsys, options, code, message):
    command = ["image", *options, "--target", BOTH, "--output", str(tmp_path / "out.png")]
    if code == 2:
        with pytest.raises(SystemExit, match="2"):
            main(command)
    else:
        assert main(command) == code
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
