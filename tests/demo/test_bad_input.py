"""Whatever is given to the shell: one clear sentence, the right exit code, nothing half-written."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.__main__ import main
from tests.support.examples import EXAMPLES
from tests.support.media.png import png
from tests.support.warm_python import run_warm


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Folder of the files that the tables below name."""
    folder = tmp_path_factory.mktemp("inputs")
    portrait = Image.open(EXAMPLES / "astronaut.jpg").convert("RGB").resize((448, 448))
    portrait.save(folder / "face.jpg")
    portrait.convert("CMYK").save(folder / "print.jpg")
    shutil.copy(EXAMPLES / "two_portraits.jpg", folder / "two.jpg")
    second = Image.new("RGB", portrait.size, "navy")
    for suffix in ("gif", "webp"):
        portrait.save(folder / f"moving.{suffix}", save_all=True, append_images=[second])
    rows = np.mgrid[0:240, 0:320].sum(0)
    Image.fromarray((rows / 3).astype(np.uint8)).save(folder / "scenery.png")
    portrait.resize((16, 16)).save(folder / "tiny.png")
    Image.new("RGB", (8, 300)).save(folder / "sliver.png")
    whole = (folder / "face.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "corrupt.jpg").write_bytes(whole[:4] + bytes(400))
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("This is a letter, not a photo.\n")
    (folder / "bomb.png").write_bytes(png(30_000, 30_000, bytes(1000)))
    (folder / "folder.png").mkdir()
    return folder


def run_main(command, inputs, tmp_path, capsys, **places):
    """Exit code, stdout, stderr lines, and what lies in the output folder afterwards."""
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "out.png"
    words = [
        word.format(i=inputs, out=out, o=tmp_path / "out", **places) for word in command.split()
    ]
    try:
        code = main(words)
    except SystemExit as left:
        code = left.code
    said = capsys.readouterr()
    left_behind = sorted(path.name for path in (tmp_path / "out").iterdir())
    return code, said.out, said.err.splitlines(), left_behind


SWAP = "image --source {i}/face.jpg --target {i}/face.jpg --output {out}"
FROM = "image --target {i}/face.jpg --output {out} --source {i}/"
ONTO = "image --source {i}/face.jpg --output {out} --target {i}/"
INTO = "image --source {i}/face.jpg --target {i}/face.jpg --output "

REFUSED = {  # command, exit code, what the sentence must say
    "no face in the source": (FROM + "scenery.png", 1, "source photo shows no face (320x240"),
    "no face in one of two sources": (
        FROM + "face.jpg --source {i}/scenery.png",
        1,
        "Source photo 2 shows no face",
    ),
    "no face in the target": (ONTO + "scenery.png", 1, "target photo shows no face (320x240"),
    "source of 16 x 16": (FROM + "tiny.png", 1, "16x16"),
    "target of 16 x 16": (ONTO + "tiny.png", 1, "16x16"),
    "8 px wide": (ONTO + "sliver.png", 1, "sliver.png has 8x300 pixels"),
    "corrupt": (ONTO + "corrupt.jpg", 1, "corrupt.jpg is damaged or incomplete"),
    "corrupt source": (FROM + "corrupt.jpg", 1, "corrupt.jpg is damaged or incomplete"),
    "truncated": (ONTO + "cut.jpg", 1, "cut.jpg is damaged or incomplete"),
    "empty": (ONTO + "empty.jpg", 1, "empty.jpg is empty (0 bytes)"),
    "text named .jpg": (ONTO + "text.jpg", 1, "text.jpg is not a photo"),
    "pixel bomb": (ONTO + "bomb.png", 1, "bomb.png has 30000x30000 pixels"),
    "pixel bomb as source": (FROM + "bomb.png", 1, "bomb.png has 30000x30000 pixels"),
    "missing file": (ONTO + "absent.jpg", 1, "absent.jpg does not exist"),
    "folder as photo": (ONTO + "folder.png", 1, "folder.png is a folder"),
    "faces of a text": ("faces {i}/text.jpg", 1, "text.jpg is not a photo"),
    "verify a text": ("verify {i}/text.jpg", 3, "text.jpg is neither a photo nor a video"),
    "benchmark on a text": ("benchmark --target {i}/text.jpg", 1, "text.jpg is not a photo"),
    "benchmark on scenery": ("benchmark --target {i}/scenery.png", 1, "benchmark's photo shows"),
    "missing output folder": (INTO + "{o}/absent/out.png", 1, "absent does not exist"),
    "output below a file": (INTO + "{i}/face.jpg/out.png", 1, "face.jpg does not exist"),
    "a folder as output": (INTO + "{i}/folder.png", 1, "folder.png cannot be written to"),
    "output of unknown kind": (INTO + "{o}/out.gif", 1, "'.gif'"),
    "output without ending": (INTO + "{o}/out", 1, "unknown ending"),
    "output over the target": (INTO + "{i}/face.jpg", 1, "would overwrite an input"),
    "face number not there": (SWAP + " --faces 0,7", 1, "no face number 7"),
    "model that is not there": (SWAP + " --model {o}/absent", 1, "neither a model folder nor"),
    "model folder without a model": (SWAP + " --model {i}", 1, "no config.json"),
    "unknown option": (SWAP + " --qualty 5", 2, "unknown option --qualty, did you mean --quality?"),
    "mistyped required option": ("image --sauce a", 2, "did you mean --source?"),
    "unlike any option": (SWAP + " --zzz", 2, "unknown option --zzz."),
    "unknown short option": (SWAP + " -z", 2, "-z"),
    "unknown command": ("imgae", 2, "unknown command 'imgae', did you mean image?"),
    "no command": ("", 2, "COMMAND"),
    "missing options": ("image", 2, "--target, --output"),
    "quality out of range": (SWAP + " --quality 101", 2, "'101'"),
    "score out of range": (SWAP + " --min-score 1.5", 2, "min_score=1.5"),
    "score that is no number": (SWAP + " --min-score nan", 2, "min_score=nan"),
    "faces in words": (SWAP + " --faces biggest", 2, "'biggest'"),
    "benchmark size of target": ("benchmark --size 99x99 --target x", 2, "--size"),
    "benchmark size too large": ("benchmark --size 30000x30000", 2, "30000x30000"),
}


@pytest.mark.parametrize(("command", "code", "fact"), REFUSED.values(), ids=REFUSED)
def test_refused_in_one_sentence(command, code, fact, inputs, tmp_path, capsys):
    before = {path: path.stat().st_mtime_ns for path in inputs.iterdir()}
    found, stdout, lines, left_behind = run_main(command, inputs, tmp_path, capsys)
    errors = [line for line in lines if line.startswith(("Error: ", "python -m simswap"))]
    assert found == code
    assert len(errors) == 1
    assert fact in errors[0]
    assert stdout == ""
    assert all(line.endswith("...") or line in errors for line in lines)  # only progress beside it
    assert left_behind == []
    assert {path: path.stat().st_mtime_ns for path in inputs.iterdir()} == before


ACCEPTED = {  # command, what the note must say
    "several faces in the source": (FROM + "two.jpg", "shows 2 faces; the largest is used"),
    "animated GIF": (ONTO + "moving.gif", "moving.gif holds an animation: only the first"),
    "animated WebP": (ONTO + "moving.webp", "moving.webp holds an animation: only the first"),
    "animated source": (FROM + "moving.webp", "moving.webp holds an animation: only the first"),
    "CMYK JPEG": (ONTO + "print.jpg", "print.jpg is made for print (CMYK)"),
}


@pytest.mark.slow
@pytest.mark.parametrize(("command", "fact"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted_with_a_note(command, fact, inputs, tmp_path, capsys):
    code, _, lines, left_behind = run_main(command, inputs, tmp_path, capsys)
    assert code == 0
    assert [fact in line for line in lines if line.startswith("Note: ")] == [True]
    assert left_behind == ["out.png"]


@pytest.mark.parametrize("part", ["generator", "identity", "detector"])
@pytest.mark.parametrize(
    "damage",
    [lambda content: content[:-1] + bytes([content[-1] ^ 1]), lambda content: content[:5000]],
    ids=["one byte changed", "truncated"],
)
def test_a_damaged_model_file_is_named(part, damage, inputs, tiny_folder, tmp_path, capsys):
    name = f"{part}.safetensors"
    (tiny_folder / name).write_bytes(damage((tiny_folder / name).read_bytes()))
    command = SWAP + " --model {model}"
    code, _, lines, left_behind = run_main(command, inputs, tmp_path, capsys, model=tiny_folder)
    assert code == 1
    assert f"{name} is damaged: its sha256 is" in lines[-1]
    assert left_behind == []


@pytest.mark.slow
@pytest.mark.parametrize("case", ["pixel bomb", "text named .jpg", "unknown option", "truncated"])
def test_a_process_of_its_own_says_no_more_than_that(case, inputs, tmp_path):
    command, code, fact = REFUSED[case]
    words = [word.format(i=inputs, out=tmp_path / "out.png") for word in command.split()]
    done = run_warm("-m", "simswap", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert fact in done.stderr
    assert done.stderr.count("\n") == 1
    assert not Path(tmp_path / "out.png").exists()
