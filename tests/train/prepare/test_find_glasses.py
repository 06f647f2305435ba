"""Finding what glasses are in embeddings: photos of wearers, without any label."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("accelerate", reason="needs the train extra")
pytest.importorskip("datasets", reason="needs the train extra")

from PIL import Image
from torch.nn import functional as F

from simswap import FaceSwapper
from simswap.errors import SimSwapError
from simswap.geometry import TEMPLATES
from simswap.media.photos import read_photo
from simswap.weights.bundle import load_bundle
from tests.support.training.planted_glasses import SIZE, planted, unit
from tests.support.training.shard_sources import write_parquet
from tests.support.training.training_runs import save_small_bundle
from tests.train.loop.test_steps import BUNDLE, CONFIG, CPU
from train.data.examples import EXAMPLES, PEOPLE
from train.errors import TrainingError
from train.networks.trained import FrozenNetworks
from train.pairing.alignment import align_source
from train.prepare.glasses import find_wearers, frame_edges, main, told_apart


@pytest.fixture(scope="module")
def faces():
    """Identity crops of the example faces."""
    swapper = FaceSwapper.from_pretrained()
    photos = [read_photo(EXAMPLES / f"{person}.jpg").image for person in PEOPLE]
    return [align_source(photo, swapper.detect(photo)[0].landmarks) for photo in photos]


def with_glasses(crop: np.ndarray) -> np.ndarray:
    """Round frames and a bridge, drawn where the eyes of an identity crop are."""
    drawn = crop.copy()
    for x in (38, 74):
        cv2.circle(drawn, (x, 53), 12, (20, 20, 20), 2, cv2.LINE_AA)
    cv2.line(drawn, (50, 52), (62, 52), (20, 20, 20), 2, cv2.LINE_AA)
    return drawn


def varied(crop: np.ndarray, seed: int) -> np.ndarray:
    """Lit otherwise, and a little noisy."""
    random = np.random.default_rng(seed)
    noisy = crop * random.uniform(0.8, 1.1) + random.normal(0, 2, crop.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def photo_set(faces: list[np.ndarray], count: int) -> list[np.ndarray]:
    """Views of the faces; of every 24 photos two, one of each person, show glasses."""
    crops = []
    for number in range(count):
        face = faces[number % 2]
        crops.append(varied(with_glasses(face) if number % 24 < 2 else face, number))
    return crops


def record(crop: np.ndarray, identity: str) -> dict:
    stream = io.BytesIO()
    Image.fromarray(crop).save(stream, "JPEG", quality=95)
    landmarks = (TEMPLATES["arcface"] * 112).tolist()
    image = {"bytes": stream.getvalue(), "path": None}
    return {"image": image, "identity": identity, "landmarks": landmarks}


def test_frames_raise_the_edges_of_a_face(faces):
    for number, face in enumerate(faces):
        plain = frame_edges(np.stack([varied(face, number + seed) for seed in range(8)]))
        framed = frame_edges(
            np.stack([varied(with_glasses(face), number + seed) for seed in range(8)])
        )
        assert framed.min() > plain.max()


def test_a_black_crop_has_no_edges():
    assert frame_edges(np.zeros((1, 112, 112, 3), np.uint8)) == pytest.approx([0])


def test_wearers_are_found_whose_frames_leave_no_edge():
    """Weak edges, but an embedding like those of the photos with strong ones."""
    embeddings, wears = planted(count=2000)
    random = np.random.default_rng(0)
    edges = random.normal(1, 0.2, len(wears)) + 3 * (wears.numpy() & (random.random(2000) < 0.5))
    wearers, others = find_wearers(edges, [embeddings])
    assert len(wearers) == 100
    assert wears[wearers].float().mean() > 0.95
    assert not wears[others].any() or wears[others].float().mean() < 0.02


def test_told_apart_is_half_where_embeddings_know_nothing():
    share = told_apart(
        unit(2000, SIZE, seed=0), np.arange(2000), np.arange(0, 2000, 10), np.arange(1, 2000, 2)
    )
    assert share == pytest.approx(0.5, abs=0.08)


def test_glasses_of_one_person_alone_are_refused():
    people = np.arange(2000)
    people[:100] = 0
    with pytest.raises(TrainingError, match="one person"):
        told_apart(unit(2000, SIZE, seed=0), people, np.arange(100), np.arange(100, 2000))


@pytest.mark.slow
def test_the_command_finds_drawn_glasses_and_a_run_takes_its_file(faces, tmp_path):
    crops = photo_set(faces, 600)
    records = [record(crop, f"person {number % 6}") for number, crop in enumerate(crops)]
    write_parquet(tmp_path / "data" / "train-00000.parquet", records)
    small, output = save_small_bundle(tmp_path / "small"), tmp_path / "glasses.safetensors"
    sheet = tmp_path / "sheets" / "glasses.png"
    files = ("--data", tmp_path / "data", "--teachers", small, "--output", output)
    main([*map(str, files), "--every", "1", "--sheet", str(sheet)])
    changed = {"teachers": (str(small),), "glasses": str(output)}
    frozen = FrozenNetworks(replace(CONFIG, **changed), load_bundle(BUNDLE), CPU)
    both = torch.from_numpy(np.stack([*faces, *map(with_glasses, faces)])).permute(0, 3, 1, 2)
    readings = F.normalize(frozen.teachers[0](both / 255), dim=1) @ frozen.glasses[0].readout
    torch.testing.assert_close(readings[2:] - readings[:2], torch.ones(2), atol=0.3, rtol=0)
    picture = cv2.imread(str(sheet))
    assert picture.shape == (112, 24 * 112, 3)  # 30 wearers: one whole line


def test_the_command_refuses_a_set_that_is_too_small(faces, tmp_path):
    write_parquet(tmp_path / "data" / "a.parquet", [record(faces[0], "one")] * 4)
    small = save_small_bundle(tmp_path / "small")
    output = tmp_path / "glasses.safetensors"
    files = ("--data", tmp_path / "data", "--teachers", small, "--output", output)
    with pytest.raises(TrainingError, match=r"2 photos have landmarks.*Lower --every"):
        main([*map(str, files), "--every", "2"])
    assert not output.exists()


@pytest.mark.parametrize("flag", ["--output", "--sheet"])
def test_the_command_refuses_a_file_that_it_cannot_write_before_it_reads_photos(tmp_path, flag):
    (tmp_path / "file").touch()
    files = {"--output": tmp_path / "glasses.safetensors", flag: tmp_path / "file" / "glasses.png"}
    arguments = [str(value) for pair in files.items() for value in pair]
    with pytest.raises(SimSwapError, match=r"file cannot be made .*Choose another"):
        main(["--data", str(tmp_path / "nowhere"), "--teachers", "none", *arguments])
