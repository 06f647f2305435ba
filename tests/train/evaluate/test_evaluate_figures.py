"""Figures from constructed measurements whose answers are known."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from train.evaluate.contact_sheet import choose_pairs
from train.evaluate.figures import (
    SwapFigures,
    figures_of,
    frechet_distance,
    pair_figures,
    retrieved,
    table,
)
from train.evaluate.measurements import (
    Measurements,
    expression_error,
    merge_measurements,
    self_swap_error,
)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def make_measurements(num_pairs: int = 20, seed: int = 0) -> Measurements:
    random = np.random.default_rng(seed)
    return Measurements(
        numbers=np.arange(num_pairs),
        identities=np.array([f"person {i}" for i in range(num_pairs)]),
        sources=unit(random.standard_normal((num_pairs, 8))),
        targets=unit(random.standard_normal((num_pairs, 8))),
        results=unit(random.standard_normal((num_pairs, 8))),
        pose_errors=random.random((num_pairs, 3)),
        expression_errors=random.random(num_pairs),
        expression_distances=random.random(num_pairs),
        self_l1=random.random(num_pairs),
        self_mse=random.random(num_pairs),
        target_features=random.standard_normal((num_pairs, 4)),
        result_features=random.standard_normal((num_pairs, 4)),
        is_missed=np.zeros(num_pairs, bool),
    )


def take(measurements: Measurements, rows: slice) -> Measurements:
    return Measurements(**{name: values[rows] for name, values in vars(measurements).items()})


@pytest.fixture
def measurements() -> Measurements:
    return make_measurements()


@pytest.fixture
def face_points() -> np.ndarray:
    """68 points with eyes 40 px apart."""
    points = np.random.default_rng(3).random((68, 2)) * 100
    points[36:42], points[42:48] = (30, 40), (70, 40)
    return points


def test_retrieval_of_a_permutation_is_its_share_of_fixed_points():
    sources, names = np.eye(5), np.array(list("abcde"))
    found = retrieved(sources[[1, 0, 2, 3, 4]], sources, names)
    assert found.tolist() == [False, False, True, True, True]


def test_retrieval_accepts_another_photo_of_the_right_person():
    assert retrieved(np.eye(3)[[1, 0, 2]], np.eye(3), np.array(["a", "a", "b"])).all()


def test_results_equal_to_their_sources_have_cosine_one_and_full_retrieval(measurements):
    figures = figures_of(replace(measurements, results=measurements.sources))
    assert figures.id_cosine == pytest.approx(1)
    assert figures.id_retrieval == 1
    assert figures.nearer_to_source == 1


def test_the_figures_of_the_pairs_average_to_those_of_all(measurements):
    figures, pairs = figures_of(measurements), pair_figures(measurements)
    for name in (
        "id_retrieval",
        "id_cosine",
        "target_cosine",
        "pose_error",
        "expression_error",
        "expression_distance",
        "self_psnr",
    ):
        mean = np.mean([pair[name] for pair in pairs])
        assert mean == pytest.approx(getattr(figures, name))


def test_what_was_not_measured_of_a_pair_is_none(measurements):
    unmeasured = replace(measurements, self_mse=np.full(len(measurements), np.nan))
    assert {pair["self_psnr"] for pair in pair_figures(unmeasured)} == {None}


def test_untouched_targets_have_cosine_one_to_the_target_and_the_real_frechet(measurements):
    untouched = replace(
        measurements, results=measurements.targets, result_features=measurements.target_features
    )
    figures = figures_of(untouched)
    assert figures.target_cosine == pytest.approx(1)
    assert figures.frechet == pytest.approx(figures.frechet_real)


def test_frechet_distance_of_a_set_to_itself_is_zero():
    features = np.random.default_rng(0).standard_normal((50, 6))
    assert frechet_distance(features, features) == pytest.approx(0, abs=1e-9)


def test_frechet_distance_of_shifted_gaussians_is_the_squared_shift():
    features = np.random.default_rng(0).standard_normal((50, 6))
    assert frechet_distance(features, features + np.array([3, 4, 0, 0, 0, 0])) == pytest.approx(25)


def test_frechet_distance_of_a_scaled_gaussian_is_the_squared_change_of_its_deviation():
    features = np.random.default_rng(0).standard_normal((50, 1))
    deviation = features.std(ddof=1)
    centred = features - features.mean()
    assert frechet_distance(centred, 3 * centred) == pytest.approx((2 * deviation) ** 2)


def test_frechet_distance_is_left_out_for_few_pairs():
    figures = figures_of(make_measurements(num_pairs=4))
    assert "eval/frechet" not in figures.scalars()


def test_an_even_error_of_a_tenth_is_20_db():
    target = np.full((8, 8, 3), 100, np.uint8)
    mask = np.random.default_rng(0).random((8, 8))
    l1, mse = self_swap_error(target + np.uint8(51), target, mask)  # 51 / 255 = 0.2
    assert l1 == pytest.approx(0.2)
    figures = figures_of(replace(make_measurements(), self_mse=np.full(20, mse / 4)))
    assert figures.self_psnr == pytest.approx(20)


def test_self_swap_error_does_not_see_outside_the_mask():
    target = np.zeros((4, 4, 3), np.uint8)
    swapped = target.copy()
    swapped[0] = 255
    mask = np.ones((4, 4))
    mask[0] = 0
    assert self_swap_error(swapped, target, mask) == (0, 0)


def test_no_error_is_told_as_that_of_rounding_to_8_bits(measurements):
    figures = figures_of(replace(measurements, self_mse=np.zeros(20)))
    assert figures.self_psnr == pytest.approx(58.92, abs=0.01)


def test_expression_error_takes_no_notice_of_shift_size_and_roll(face_points):
    cos, sin = 1.3 * np.cos(0.4), 1.3 * np.sin(0.4)
    moved = face_points @ np.array([[cos, sin], [-sin, cos]]) + [20, -7]
    assert expression_error(moved, face_points) == pytest.approx(0, abs=1e-9)


def test_expression_error_takes_no_notice_of_the_jaw_line(face_points):
    wider = face_points.copy()
    wider[:17] += 10
    assert expression_error(wider, face_points) == pytest.approx(0, abs=1e-9)


def test_expression_error_is_in_percent_of_the_inter_eye_distance():
    points = np.zeros((68, 2))
    points[36:42], points[42:48] = (-20, 0), (20, 0)
    points[17], points[18], points[19], points[20] = (-15, -20), (15, 20), (15, -20), (-15, 20)
    changed = points.copy()
    # Opposite points move alike and the two pairs against each other, which no shift, size or
    # roll can undo: four of 51 points by a hundredth of the inter-eye distance.
    changed[17:19] += (0, 0.4)
    changed[19:21] -= (0, 0.4)
    assert expression_error(changed, points) == pytest.approx(4 / 51, rel=0.02)


def test_shards_merged_in_any_order_equal_the_whole(measurements):
    merged = merge_measurements([take(measurements, slice(i, None, 3)) for i in (2, 0, 1)])
    assert all(
        np.array_equal(value, getattr(measurements, name)) for name, value in vars(merged).items()
    )


def test_measurements_travel_between_processes_unchanged(measurements):
    received = pickle.loads(pickle.dumps(measurements))  # as torch.distributed gathers objects
    assert figures_of(received) == figures_of(measurements)


def test_a_pair_that_two_processes_measured_counts_once(measurements):
    merged = merge_measurements([measurements, take(measurements, slice(0, 5))])
    assert len(merged) == len(measurements)


def test_a_process_without_pairs_adds_nothing(measurements):
    empty = merge_measurements([])
    assert len(empty) == 0
    assert figures_of(merge_measurements([empty, measurements])) == figures_of(measurements)


def test_figures_of_no_pair_are_refused():
    with pytest.raises(ValueError, match="no measurements"):
        figures_of(merge_measurements([]))


def test_scalars_and_json_leave_out_what_was_not_measured(measurements):
    figures = figures_of(replace(measurements, pose_errors=np.full((20, 3), np.nan)))
    assert "eval/pose_error" not in figures.scalars()
    assert "eval/id_cosine" in figures.scalars()
    assert figures.to_json()["pose_error"] is None


def test_the_table_has_a_cell_for_every_column(measurements):
    figures: SwapFigures = figures_of(replace(measurements, self_l1=np.full(20, np.nan)))
    head, rule, row = table({"swapped": figures}).splitlines()
    assert head.count("|") == rule.count("|") == row.count("|")
    assert "nan" not in row


def test_the_sheet_shows_best_median_and_worst_pairs_apart():
    cosines = np.random.default_rng(0).permutation(30) / 30
    chosen = choose_pairs(cosines, 4)
    assert cosines[chosen["best"]].min() == pytest.approx(26 / 30)
    assert cosines[chosen["worst"]].max() == pytest.approx(3 / 30)
    assert cosines[chosen["median"]].mean() == pytest.approx(14.5 / 30)


@pytest.mark.parametrize("num_pairs", [1, 2, 5, 24])
def test_every_group_of_the_sheet_has_a_pair(num_pairs):
    chosen = choose_pairs(np.linspace(0, 1, num_pairs), 8)
    assert all(1 <= len(places) <= 8 for places in chosen.values())
