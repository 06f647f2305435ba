"""Judges a run's moving average while it trains."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import gather_object

from simswap import FaceSwapper
from simswap.models.generator import Generator
from simswap.weights.bundle import Bundle
from train.config import TrainConfig
from train.evaluate.evaluation import SWAPPED, Evaluation
from train.evaluate.figures import figures_of
from train.evaluate.judge_files import JudgeFiles, find_judges
from train.evaluate.judges import Judges, load_judges
from train.evaluate.measurements import measure_pairs, merge_measurements
from train.evaluate.pairs import Pair, find_evaluation_folder, load_pairs


class Evaluator:
    """Judges the moving average on the first evaluation pairs, shared out over the processes."""

    def __init__(self, accelerator: Accelerator, config: TrainConfig) -> None:
        """Raises TrainingError if photos or judges are missing, or a judge is a teacher."""
        folder = find_evaluation_folder(Path(config.eval_data))
        pairs = load_pairs(folder, limit=config.eval_pairs)
        self._pairs: list[Pair] = pairs[accelerator.process_index :: accelerator.num_processes]
        judge = Path(config.judge)
        files: JudgeFiles = find_judges(judge.parent, identity=judge)
        self._judges: Judges = load_judges(files, config.teachers, accelerator.device)
        self._accelerator, self._judge = accelerator, judge.stem
        self._alignment = config.alignment

    def evaluate(self, generator: Generator, base: Bundle) -> tuple[dict[str, float], str]:
        """Figures by name (eval/...), and their Markdown table; the same in every process."""
        bundle, device = self._bundle_of(generator, base), self._accelerator.device
        swapper = FaceSwapper(bundle, device, runtime="torch")  # not worth compiling for one use
        mine = measure_pairs(swapper, self._pairs, self._judges)
        figures = figures_of(merge_measurements(gather_object([mine])))
        notes = (f"Judge of identity: {self._judge}.", *self._judges.notes)
        evaluation = Evaluation({SWAPPED: figures}, {}, notes)
        return figures.scalars(), evaluation.to_markdown()

    def _bundle_of(self, generator: Generator, base: Bundle) -> Bundle:
        """Copies, because FaceSwapper fuses what it is given."""
        config = replace(
            base.config, generator=generator.config, alignment=self._alignment, parser=None
        )
        networks = (generator, base.identity_network, base.detector)
        return Bundle(config, *(copy.deepcopy(network) for network in networks))
