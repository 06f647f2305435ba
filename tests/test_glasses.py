"""Targets keep their glasses: finding the direction, and the identity that a swap should have."""

import io
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("accelerate", reason="needs the train extra")
pytest.importorskip("datasets", reason="needs the train extra")

from PIL import Image
from shard_sources import write_parquet
from test_train_steps import BUNDLE, CONFIG, CPU, pairs
from torch.nn import functional as F

from simswap import FaceSwapper
from simswap.bundle import load_bundle
from simswap.errors import SimSwapError
from simswap.geometry import TEMPLATES
from simswap.media import read_photo
from tests.training_runs import save_small_bundle
from train.alignment import align_source
from train.errors import TrainingError
from train.example_data import EXAMPLES, PEOPLE
from train.find_glasses import find_wearers, frame_edges, main, told_apart
from train.glasses import (
    GlassesDirection,
    fit_direction,
    load_directions,
    network_names,
    save_directions,
)
from train.networks import FrozenNetworks

SIZE = 16  # of made-up embeddings


def unit(*shape: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=random), dim=-1)


def some_direction(size: int = SIZE, seed: int = 5) -> GlassesDirection:
    direction = 0.3 * unit(size, seed=seed)
    readout = direction + 0.1 * unit(size, seed=seed + 1)
    return GlassesDirection(direction, readout / (readout @ direction))


def planted(count: int = 400, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit embeddings of which a tenth lie further along the first axis, and which ones."""
    wears = torch.arange(count) % 10 == 0
    embeddings = unit(count, SIZE, seed=seed)
    embeddings[:, 0] += 0.8 * wears
    return F.normalize(embeddings, dim=1), wears


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


def test_the_wanted_identity_reads_as_the_target_on_glasses():
    found = some_direction()
    sources, targets = unit(4, SIZE, seed=1), unit(4, SIZE, seed=2)
    wanted = found.of_target(sources, targets)
    torch.testing.assert_close(wanted @ found.readout, targets @ found.readout)


def test_an_emphasis_asks_for_a_reading_beyond_the_targets():
    found = some_direction()
    sources, targets = unit(4, SIZE, seed=1), unit(4, SIZE, seed=2)
    readings = found.of_target(sources, targets, emphasis=1.5) @ found.readout
    apart = (targets - sources) @ found.readout
    torch.testing.assert_close(readings, targets @ found.readout + 0.5 * apart)


def test_the_wanted_identity_is_the_sources_in_all_else():
    found = some_direction()
    moved = found.of_target(unit(4, SIZE, seed=1), unit(4, SIZE, seed=2)) - unit(4, SIZE, seed=1)
    cosines = F.cosine_similarity(moved, found.direction[None]).abs()
    torch.testing.assert_close(cosines, torch.ones(4))


def test_a_source_that_reads_as_the_target_is_wanted_as_it_is():
    found, sources = some_direction(), unit(4, SIZE, seed=1)
    torch.testing.assert_close(found.of_target(sources, sources), sources)


def test_the_length_of_embeddings_does_not_matter():
    found = some_direction()
    sources, targets = unit(4, SIZE, seed=1), unit(4, SIZE, seed=2)
    torch.testing.assert_close(
        found.of_target(3 * sources, 0.5 * targets), found.of_target(sources, targets)
    )


def test_a_fitted_readout_tells_the_groups_apart_in_photos_it_has_not_seen():
    found = fit_direction(*planted())
    embeddings, wears = planted(seed=1)
    readings = embeddings @ found.readout
    assert readings[wears].mean() - readings[~wears].mean() == pytest.approx(1, abs=0.2)
    assert (readings[wears][:, None] > readings[~wears]).float().mean() > 0.9


def test_a_fitted_direction_is_the_difference_of_the_groups_and_its_readout_measures_it():
    embeddings, wears = planted()
    found = fit_direction(embeddings, wears)
    difference = embeddings[wears].mean(0) - embeddings[~wears].mean(0)
    torch.testing.assert_close(found.direction, difference)
    assert (found.direction @ found.readout).item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("wears", [torch.zeros(9, dtype=bool), torch.ones(9, dtype=bool)])
def test_a_direction_needs_photos_of_both_groups(wears):
    with pytest.raises(TrainingError, match=f"Of 9 photos {int(wears.sum())} show glasses"):
        fit_direction(unit(9, SIZE, seed=0), wears)


def test_directions_come_back_from_their_file_in_the_order_of_the_teachers(tmp_path):
    stored = {"a": some_direction(seed=1), "b": some_direction(8, seed=3)}
    save_directions(stored, tmp_path / "new" / "glasses.safetensors")
    loaded = load_directions(
        tmp_path / "new" / "glasses.safetensors", ["x/b.pt", "a.onnx"], [8, SIZE], CPU
    )
    for found, name in zip(loaded, "ba", strict=True):
        assert torch.equal(found.direction, stored[name].direction)
        assert torch.equal(found.readout, stored[name].readout)


@pytest.mark.parametrize(
    ("teachers", "sizes"), [(["a.pt", "c.pt"], [SIZE, SIZE]), (["a.pt"], [SIZE + 1])]
)
def test_directions_of_other_networks_are_refused_with_the_command_that_finds_them(
    tmp_path, teachers, sizes
):
    path = tmp_path / "glasses.safetensors"
    save_directions({"a": some_direction()}, path)
    with pytest.raises(TrainingError, match=r"knows no glasses of [ac], .*train\.find_glasses"):
        load_directions(path, teachers, sizes, CPU)


def test_a_missing_file_of_directions_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(TrainingError, match=r"none\.safetensors cannot be read.*find_glasses"):
        load_directions(tmp_path / "none.safetensors", ["a.pt"], [SIZE], CPU)


def test_a_damaged_file_of_directions_is_refused(tmp_path):
    path = tmp_path / "glasses.safetensors"
    path.write_bytes(b"not tensors")
    with pytest.raises(TrainingError, match="cannot be read"):
        load_directions(path, ["a.pt"], [SIZE], CPU)


def test_teachers_of_one_name_are_refused():
    with pytest.raises(TrainingError, match="two are called the same"):
        network_names(["one/net.pt", "two/net.onnx"])


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


def test_without_directions_swaps_should_be_the_source():
    frozen, batch = FrozenNetworks(CONFIG, load_bundle(BUNDLE), CPU), pairs(same=False)
    wanted = frozen.embed_wanted(0, batch.sources, batch.targets)
    torch.testing.assert_close(wanted, frozen.teachers[0](batch.sources))


def test_with_directions_swaps_should_be_the_source_with_the_targets_glasses(tmp_path):
    path, found = tmp_path / "glasses.safetensors", some_direction(512)
    save_directions({network_names([BUNDLE])[0]: found}, path)
    frozen = FrozenNetworks(replace(CONFIG, glasses=str(path)), load_bundle(BUNDLE), CPU)
    batch, teacher = pairs(same=False), frozen.teachers[0]
    wanted = frozen.embed_wanted(0, batch.sources, batch.targets)
    targets = teacher(frozen.to_identity_crop(batch.targets))
    expected = found.of_target(teacher(batch.sources), targets, CONFIG.glasses_emphasis)
    torch.testing.assert_close(wanted, expected)
    assert not wanted.requires_grad


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
        main(["--data", str(tmp_path / "nowhere"), *arguments])
