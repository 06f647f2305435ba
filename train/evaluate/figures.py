"""From measurements of pairs to the figures of the evaluation table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np

from train.evaluate.measurements import Measurements

MIN_PAIRS_FOR_FRECHET = 8  # a covariance of fewer per half says nothing
# Mean square of rounding to 8 bits: a smaller error cannot be told from none (58.9 dB).
MIN_SQUARED_ERROR = (1 / 255) ** 2 / 12

COLUMNS = (
    "faces",
    "ID retrieval",
    "cosine to source",
    "to target",
    "nearer to source",
    "pose error (°)",
    "expression error (%)",
    "by 3DDFA",
    "self-swap L1",
    "PSNR (dB)",
    "Fréchet",
    "no face",
)
TABLE_HEAD = f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}"


@dataclass(frozen=True)
class SwapFigures:
    """The evaluation's figures; NaN where nothing was measured."""

    num_pairs: int
    id_retrieval: float  # share whose nearest source photo, of all, shows the right person
    id_cosine: float  # mean cosine to the source photo, by the judge
    target_cosine: float  # mean cosine to the target photo
    nearer_to_source: float  # share nearer to the source than to the target
    pose_error: float  # degrees, mean over yaw, pitch and roll
    expression_error: float  # % of the inter-eye distance, see measurements.expression_error
    expression_distance: float  # between the expression parameters of 3DDFA, in its units
    self_l1: float  # of targets swapped with themselves, RGB in [0, 1], inside the mask
    self_psnr: float  # dB, mean over those photos
    frechet: float  # between results and real crops of other photos
    frechet_real: float  # between two halves of the real crops: what a perfect swap would reach
    missed: float  # share of targets in which no face was found; they count untouched

    def scalars(self) -> dict[str, float]:
        """What a tracker logs: `eval/id_cosine` and so on, less what was not measured."""
        return {f"eval/{name}": value for name, value in self._measured().items()}

    def to_json(self) -> dict[str, float | int | None]:
        """Every figure; None where nothing was measured, which JSON can hold unlike NaN."""
        measured = self._measured()
        return {name: measured.get(name) for name in asdict(self)} | {"num_pairs": self.num_pairs}

    def markdown_row(self, name: str) -> str:
        """A line under TABLE_HEAD."""
        cells = (
            name,
            *self.identity_cells(),
            format_percent(self.nearer_to_source),
            *self.attribute_cells(),
            format_number(self.self_l1, 4),
            format_number(self.self_psnr, 1),
            format_number(self.frechet, 2),
            format_percent(self.missed),
        )
        return f"| {' | '.join(cells)} |"

    def identity_cells(self) -> tuple[str, ...]:
        """Of a row: retrieval, cosine to the source and to the target."""
        cosines = (self.id_cosine, self.target_cosine)
        return format_percent(self.id_retrieval), *(format_number(one, 3) for one in cosines)

    def attribute_cells(self) -> tuple[str, ...]:
        """Of a row: errors of pose and expression, and the distance of expressions."""
        errors = (self.pose_error, self.expression_error, self.expression_distance)
        return tuple(format_number(one, 2) for one in errors)

    def _measured(self) -> dict[str, float]:
        values = {name: float(value) for name, value in asdict(self).items() if name != "num_pairs"}
        return {name: value for name, value in values.items() if np.isfinite(value)}


def figures_of(measurements: Measurements) -> SwapFigures:
    """The figures of all pairs. Raises ValueError for none: merge the processes' parts first."""
    if not len(measurements):
        raise ValueError("There are no measurements to make figures of.")
    m = measurements
    to_source, to_target = (m.results * m.sources).sum(1), (m.results * m.targets).sum(1)
    frechet, frechet_real = _frechet_of_halves(m)
    return SwapFigures(
        num_pairs=len(m),
        id_retrieval=float(retrieved(m.results, m.sources, m.identities).mean()),
        id_cosine=float(to_source.mean()),
        target_cosine=float(to_target.mean()),
        nearer_to_source=float((to_source > to_target).mean()),
        pose_error=float(m.pose_errors.mean()),
        expression_error=float(m.expression_errors.mean()),
        expression_distance=float(m.expression_distances.mean()),
        self_l1=_mean(m.self_l1),
        self_psnr=_mean(_psnr(m.self_mse)),
        frechet=frechet,
        frechet_real=frechet_real,
        missed=float(m.is_missed.mean()),
    )


def pair_figures(measurements: Measurements) -> list[dict[str, float | int | None]]:
    """The figures of each pair by itself, in the pairs' order; None where nothing was measured."""
    m = measurements
    columns = {
        "id_retrieval": retrieved(m.results, m.sources, m.identities).astype(float),
        "id_cosine": (m.results * m.sources).sum(1),
        "target_cosine": (m.results * m.targets).sum(1),
        "pose_error": m.pose_errors.mean(1),
        "expression_error": m.expression_errors,
        "expression_distance": m.expression_distances,
        "self_psnr": _psnr(m.self_mse),
    }
    return [
        {"number": int(number)}
        | {
            name: float(values[i]) if np.isfinite(values[i]) else None
            for name, values in columns.items()
        }
        for i, number in enumerate(m.numbers)
    ]


def retrieved(results: np.ndarray, sources: np.ndarray, identities: np.ndarray) -> np.ndarray:
    """[N] bool: is the source photo nearest to a result, of all, of its own source's person?

    results, sources: [N, E] unit-norm embeddings of the same pairs; identities: [N] of the sources.
    """
    nearest = (results @ sources.T).argmax(1)
    return identities[nearest] == identities


def frechet_distance(features: np.ndarray, others: np.ndarray) -> float:
    """Squared Frechet distance of the Gaussians fitted to two sets of features.

    features: [N, F]; others: [M, F]; N, M >= 2. It shrinks as N and M grow, so compare only
    distances of equal numbers.
    """
    features, others = features.astype(np.float64), others.astype(np.float64)
    covariance, other = np.cov(features.T, ddof=1), np.cov(others.T, ddof=1)
    covariance, other = np.atleast_2d(covariance), np.atleast_2d(other)
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # tr (A B)^(1/2) from the eigenvalues of A^(1/2) B A^(1/2), which is symmetric.
    cross = np.sqrt(np.linalg.eigvalsh(root @ other @ root).clip(0)).sum()
    shift = ((features.mean(0) - others.mean(0)) ** 2).sum()
    distance = shift + np.trace(covariance) + np.trace(other) - 2 * cross
    return float(max(distance, 0.0))


def table(figures: Mapping[str, SwapFigures]) -> str:
    """The Markdown table of named rows."""
    rows = [of_method.markdown_row(name) for name, of_method in figures.items()]
    return "\n".join([TABLE_HEAD, *rows])


def _frechet_of_halves(m: Measurements) -> tuple[float, float]:
    """Results of one half of the pairs to real crops of the other, and real to real likewise.

    A result and its own target share pose, light and background, which would flatter it; and all
    distances are between equal numbers of crops, so that they compare. The halves are the pairs of
    even and of odd numbers.
    """
    even, real, results = m.numbers % 2 == 0, m.target_features, m.result_features
    if 2 * min(even.sum(), (~even).sum()) < MIN_PAIRS_FOR_FRECHET:
        return np.nan, np.nan
    crosswise = [
        frechet_distance(results[even], real[~even]),
        frechet_distance(results[~even], real[even]),
    ]
    return float(np.mean(crosswise)), frechet_distance(real[even], real[~even])


def _psnr(squared_errors: np.ndarray) -> np.ndarray:
    """dB, of each error for values in [0, 1]."""
    return -10 * np.log10(np.maximum(squared_errors, MIN_SQUARED_ERROR))


def _mean(values: np.ndarray) -> float:
    """Mean of what is not NaN; NaN if nothing is."""
    measured = values[np.isfinite(values)]
    return float(measured.mean()) if len(measured) else np.nan


def format_percent(share: float) -> str:
    """For a table's cell; a dash for NaN."""
    return f"{share:.1%}" if np.isfinite(share) else "–"


def format_number(value: float, digits: int) -> str:
    """For a table's cell; a dash for NaN."""
    return f"{value:.{digits}f}" if np.isfinite(value) else "–"
