"""The watermark from crop to crop, and through whole photos and detection."""

import io
from dataclasses import replace
from itertools import islice

import cv2
import numpy as np
import pytest
from PIL import Image

from simswap import Face, geometry
from simswap.swap.pasting.masks import face_mask
from simswap.watermark import embedding, trial
from simswap.watermark.carrier import PLANES
from simswap.watermark.code import REDUNDANT_BITS, bundle_id_of, symbols_of
from simswap.watermark.reading import NUM_READINGS, combine_readings, likeliest_sets, read_faces

SIZE = 128
IDS = (0, 0xFFFFFFFF, 0xAB375B29)


def a_crop(seed: int, plane: int = SIZE) -> embedding.FaceCrop:
    """Smooth seeded texture under a face's mask, whose strength falls with frequency.

    A crop of 128 px, or one enlarged for a finer plane.
    """
    random = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIZE), np.fft.fftfreq(SIZE)))
    noise = np.fft.fft2(random.standard_normal((SIZE, SIZE))) / (frequency + 0.03) ** 2
    texture = np.fft.ifft2(noise).real
    texture = 0.5 + 0.12 * (texture - texture.mean()) / texture.std()
    crop = np.repeat(texture[..., None], 3, axis=2).clip(0, 1).astype(np.float32)
    landmarks = geometry.TEMPLATES["simswap_frontal"] * SIZE
    if plane > SIZE:
        crop = cv2.resize(crop, (plane, plane), interpolation=cv2.INTER_CUBIC).clip(0, 1)
        landmarks = geometry.apply(geometry.resize_transform(plane / SIZE), landmarks)
    mask = face_mask(landmarks, plane, 0.08)
    target = np.rint(crop * 255).astype(np.uint8)
    side = embedding.FINE_FROM * plane / SIZE
    return embedding.FaceCrop(crop, target, mask, landmarks, side)


def on_crop(landmarks: np.ndarray) -> Face:
    return Face(np.array([0, 0, SIZE, SIZE], np.float32), landmarks.astype(np.float32), 1.0)


def as_frame(crop: np.ndarray) -> np.ndarray:
    return np.rint(crop * 255).astype(np.uint8)


def ids_in(frame: np.ndarray, landmarks: np.ndarray) -> list[int]:
    return [reading.bundle_id for reading in read_faces(frame, [on_crop(landmarks)])]


def as_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def test_the_grain_is_weaker_on_smooth_skin_than_where_it_hides():
    crop = a_crop(0)
    right_half = np.linspace(-1, 1, SIZE)[None, :, None] > 0
    rough = np.random.default_rng(1).normal(0, 0.06, (SIZE, SIZE, 1)).astype(np.float32)
    crop = replace(crop, swapped=np.clip(crop.swapped + rough * right_half, 0, 1))
    marked = embedding.watermark_crop(crop, symbols_of(IDS[2]))
    change = ((marked - crop.swapped)[..., 0] * crop.mask) ** 2
    smooth, hidden = change[:, : SIZE // 2].mean(), change[:, SIZE // 2 :].mean()
    assert smooth < 0.7 * hidden


def in_the_dark(crop: embedding.FaceCrop, share: float) -> embedding.FaceCrop:
    """The same crop, of a photo with that share of its brightness."""
    target = np.rint(crop.target * share).astype(np.uint8)
    return replace(crop, swapped=crop.swapped * np.float32(share), target=target)


def test_the_grain_is_weaker_on_a_dark_face():
    crop, symbols = a_crop(0), symbols_of(IDS[2])
    dark = in_the_dark(crop, 0.15)
    change, change_in_the_dark = (
        float(np.std((embedding.watermark_crop(face, symbols) - face.swapped)[..., 0] * face.mask))
        for face in (crop, dark)
    )
    assert change_in_the_dark < 0.6 * change


@pytest.mark.parametrize("bundle_id", IDS)
def test_a_dark_face_reads_as_its_id_after_a_jpeg(bundle_id):
    dark = in_the_dark(a_crop(1), 0.15)
    marked = as_frame(embedding.watermark_crop(dark, symbols_of(bundle_id)))
    assert ids_in(as_jpeg(marked, 85), dark.landmarks) == [bundle_id]


@pytest.mark.parametrize("bundle_id", IDS)
def test_symbols_tell_the_id_they_were_made_from(bundle_id):
    assert bundle_id_of(symbols_of(bundle_id)) == bundle_id


def test_one_wrong_symbol_is_no_mark():
    symbols = symbols_of(IDS[2])
    for place in range(len(symbols)):
        wrong = symbols.copy()
        wrong[place] ^= 1
        assert bundle_id_of(wrong) is None


def test_an_id_of_more_than_32_bits_is_refused():
    with pytest.raises(ValueError, match="32 bits"):
        symbols_of(1 << 32)


@pytest.mark.parametrize("bundle_id", IDS)
def test_a_marked_crop_reads_as_its_id(bundle_id):
    face = a_crop(1)
    marked = embedding.watermark_crop(face, symbols_of(bundle_id))
    assert ids_in(as_frame(marked), face.landmarks) == [bundle_id]


@pytest.mark.parametrize(("plane", "seed"), [(192, 1), (256, 1)])
def test_in_a_film_the_grain_lies_still(plane, seed):
    face = a_crop(seed, plane)
    noise = np.random.default_rng(0).normal(0, 0.008, (plane, plane, 1)).astype(np.float32)
    next_face = replace(face, swapped=np.clip(face.swapped + noise, 0, 1))

    def flicker(steady: bool) -> float:
        one, other = (
            (embedding.watermark_crop(each, symbols_of(IDS[2]), steady) - each.swapped)[..., 0]
            for each in (face, next_face)
        )
        return float(np.std((one - other) * face.mask) / np.std(one * face.mask))

    assert flicker(steady=True) < 0.2


@pytest.mark.parametrize("bundle_id", IDS)
@pytest.mark.parametrize("plane", PLANES)
def test_a_grain_that_lies_still_reads_as_its_id(plane, bundle_id):
    face = a_crop(1, plane)
    marked = embedding.watermark_crop(face, symbols_of(bundle_id), steady=True)
    assert ids_in(as_frame(marked), face.landmarks) == [bundle_id]


@pytest.mark.slow
@pytest.mark.parametrize("plane", PLANES)
def test_the_mark_is_read_although_landmarks_are_off(plane):
    face = a_crop(2, plane)
    marked = embedding.watermark_crop(face, symbols_of(IDS[2]))
    middle = face.landmarks.mean(axis=0)
    off = (face.landmarks - middle) * 1.06 + middle + np.array([3.0, -4.0]) * plane / SIZE
    assert ids_in(as_frame(marked), off) == [IDS[2]]


@pytest.mark.slow
@pytest.mark.parametrize("plane", PLANES)
def test_the_mark_is_read_although_landmarks_are_turned(plane):
    face = a_crop(2, plane)
    marked = embedding.watermark_crop(face, symbols_of(IDS[2]))
    middle, angle = face.landmarks.mean(axis=0), np.radians(11)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = (face.landmarks - middle) @ turn.T + middle
    assert ids_in(as_frame(marked), turned) == [IDS[2]]


def test_an_unmarked_crop_reads_as_nothing():
    face = a_crop(3)
    assert ids_in(as_frame(face.swapped), face.landmarks) == []


def test_a_blank_crop_reads_as_nothing():
    assert ids_in(np.full((SIZE, SIZE, 3), 128, np.uint8), a_crop(1).landmarks) == []


def psnr_of(face: embedding.FaceCrop) -> float:
    marked = embedding.watermark_crop(face, symbols_of(IDS[2]))
    error = np.mean((255 * (marked - face.swapped) * face.mask[..., None]) ** 2)
    return 10 * np.log10(255**2 / error)


@pytest.mark.parametrize("plane", PLANES)
def test_no_mark_is_stronger_than_is_allowed(plane, monkeypatch):
    monkeypatch.setitem(trial.AHEAD, plane, 100.0)  # a trial that nothing outlives
    monkeypatch.setattr(trial, "SYNC_AHEAD", 100.0)
    sync = 0.0 if plane == SIZE else 3.1  # dB: two grains, each as strong
    for seed in range(3):
        assert psnr_of(a_crop(seed, plane)) > embedding.STRONGEST - sync - 0.02


@pytest.mark.parametrize("plane", PLANES)
def test_a_mark_is_as_weak_as_its_trial_allows(plane, monkeypatch):
    strengths = []
    for ahead in (0.5, 1.5, 5.0):
        monkeypatch.setitem(trial.AHEAD, plane, ahead)
        strengths.append(psnr_of(a_crop(1, plane)))
    assert strengths[0] + 0.01 > strengths[1] > strengths[2] - 0.01
    assert strengths[0] > strengths[2] + 0.5


def test_the_larger_a_face_is_in_its_frame_the_finer_its_mark():
    assert [embedding.plane_of(side) for side in (100, 202, 203, 269, 270, 2000)] == [
        *(128, 128, 192, 192, 256, 256)
    ]
    shares = []
    for plane in PLANES:
        face = a_crop(1, plane)
        marked = embedding.watermark_crop(face, symbols_of(IDS[2]))
        power = np.abs(np.fft.rfft2((marked - face.swapped)[..., 0])) ** 2
        cycles = np.hypot(*np.meshgrid(np.fft.rfftfreq(plane), np.fft.fftfreq(plane))) * plane
        shares.append(power[cycles > 32].sum() / power.sum())
    assert shares[0] < 0.1 < 0.2 < min(shares[1:])


def test_a_sliver_of_a_mask_is_not_marked_more_strongly_than_a_face():
    face = a_crop(1)
    mask = face.mask * (np.arange(SIZE) < 30)
    marked = embedding.watermark_crop(
        replace(face, mask=mask.astype(np.float32)), symbols_of(IDS[2])
    )
    whole = embedding.watermark_crop(face, symbols_of(IDS[2]))
    assert np.abs(marked - face.swapped).max() <= 2 * np.abs(whole - face.swapped).max()


def test_crops_of_other_sizes_and_alignments_carry_the_same_mark():
    face = a_crop(6)
    transform = geometry.invert(np.array([[0.5, 0.0, -20.0], [0.0, 0.5, -24.0]]))
    large = geometry.warp_to_crop(as_frame(face.swapped), transform, 300)
    landmarks = geometry.apply(transform, face.landmarks)
    mask = np.ones((300, 300), np.float32)
    side = embedding.side_in_frame(landmarks)
    crop = embedding.FaceCrop(large.astype(np.float32) / 255, large, mask, landmarks, side)
    marked = embedding.watermark_crop(crop, symbols_of(IDS[2]))
    assert ids_in(as_frame(marked), landmarks) == [IDS[2]]


def test_noise_reads_as_a_mark_less_than_once_in_a_million_by_design():
    assert NUM_READINGS / 2**REDUNDANT_BITS <= 1e-6


def test_the_likeliest_sets_of_symbols_come_once_and_in_order():
    strengths = np.random.default_rng(8).normal(size=(10, 64))
    sets = np.array(list(islice(likeliest_sets(strengths), 200)))
    losses = (strengths.max(axis=1) - strengths[np.arange(10), sets]).sum(axis=1)
    assert len(np.unique(sets, axis=0)) == 200
    assert losses[0] == 0
    assert (np.diff(losses) >= -1e-12).all()
    single = np.sort((strengths.max(axis=1, keepdims=True) - strengths).ravel())
    assert losses[1] == pytest.approx(single[single > 0][0])


def test_frames_agree_on_the_surest_reading():
    face = a_crop(7)
    marked = embedding.watermark_crop(face, symbols_of(IDS[2]))
    readings = read_faces(as_frame(marked), [on_crop(face.landmarks)])
    (mark,) = combine_readings([readings, [], readings])
    assert (mark.bundle_id, mark.num_marked, mark.num_frames) == (IDS[2], 2, 3)
    assert mark.false_positive == pytest.approx(3 * readings[0].false_positive)


def test_frames_without_a_mark_say_nothing():
    assert combine_readings([[], []]) == []
