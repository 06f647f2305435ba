"""States of a run on disk: written whole or not at all, the newest few kept, restored exactly."""

from __future__ import annotations

import copy
import json
import logging
import pickle  # its error only: torch.load raises it, and executes nothing
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.checkpointing import save_accelerator_state
from accelerate.utils import OPTIMIZER_NAME, SAFE_MODEL_NAME, load
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from simswap.files import read_record
from simswap.weights.weight_files import load_tensors
from train.config import TrainConfig, describe_change
from train.errors import TrainingError
from train.loop.agreement import all_agree
from train.loop.writing import Writer
from train.networks.trained import Networks
from train.pairing.loader import LoaderState

logger = logging.getLogger(__name__)

FOLDER = "checkpoints"
RUN_FILE, EMA_FILE = "run.json", "ema.safetensors"
NAME = re.compile(r"step_(\d{8})")
# What must not differ between a checkpoint and the run that goes on from it.
ARCHITECTURE = ("generator", "discriminator", "crop_template", "crop_size")
# What torch, safetensors and the system raise when a disk is full or a folder read-only.
WRITE_ERRORS = (OSError, SafetensorError, RuntimeError)
READ_ERRORS = (*WRITE_ERRORS, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError)


@dataclass(frozen=True)
class Checkpoint:
    """One saved state of a run: `step` optimiser steps are done."""

    folder: Path
    step: int


def checkpoints_of(output: Path) -> list[Checkpoint]:
    """Whole checkpoints of a run's folder, oldest first; what a kill left half written is none."""
    found = [
        Checkpoint(folder, int(match[1]))
        for folder in (output / FOLDER).glob("step_*")
        if (match := NAME.fullmatch(folder.name)) and (folder / RUN_FILE).is_file()
    ]
    return sorted(found, key=lambda checkpoint: checkpoint.step)


def find_checkpoint(resume: str, output: Path) -> Checkpoint | None:
    """What `--resume` names: "latest", if there is any, or a checkpoint's folder; "" names none.

    Raises TrainingError for a folder that is no checkpoint, and for a new run in an old one's.
    """
    found = checkpoints_of(output)
    if not resume:
        if found:
            raise TrainingError(
                f"{output} holds a run of {found[-1].step} steps. Continue it with --resume, or "
                "begin in another folder (--output)."
            )
        return None
    if resume == "latest":
        return found[-1] if found else None
    folder = Path(resume)
    match = NAME.fullmatch(folder.name)
    if not match or not (folder / RUN_FILE).is_file():
        raise TrainingError(f"{resume} is no checkpoint (a folder step_00001000 with {RUN_FILE}).")
    return Checkpoint(folder, int(match[1]))


def check_architecture(checkpoint: Checkpoint, config: TrainConfig) -> None:
    """Raise TrainingError if the checkpoint's networks are not those of this run.

    Other settings may change; the log says which did.
    """
    try:
        stored = read_record(checkpoint.folder / RUN_FILE)["config"]
        theirs = {name: stored[name] for name in ARCHITECTURE}
    except READ_ERRORS as error:
        raise _damaged(checkpoint, error) from error
    ours = json.loads(config.to_json())
    for name, value in theirs.items():
        if value != ours[name]:
            raise TrainingError(
                f"The checkpoint {checkpoint.folder} was made with {name}={value}, this run has "
                f"{ours[name]}. Use its settings, or begin a new run in another --output."
            )
    for name, value in ours.items():
        if name != "resume" and value != stored.get(name):
            change = describe_change(name, stored.get(name), value)
            logger.info("Changed since step %d: %s", checkpoint.step, change)


def set_newer_aside(output: Path, step: int) -> None:
    """Checkpoints beyond `step`, from which a run goes on, are of another course from now on."""
    for newer in checkpoints_of(output):
        if newer.step > step:
            aside = newer.folder.with_name(f"abandoned_{newer.folder.name}")
            shutil.rmtree(aside, ignore_errors=True)
            newer.folder.rename(aside)
            logger.info("Set aside, as the run goes on from step %d: %s", step, aside)


def prepare_checkpoints(accelerator: Accelerator) -> None:
    """Have Accelerate load the bare networks: names do not tell how many processes ran."""

    def load_bare(models: list[nn.Module], folder: str) -> None:
        models[:] = [accelerator.unwrap_model(model) for model in models]

    accelerator.register_load_state_pre_hook(load_bare)


def save_checkpoint(
    accelerator: Accelerator,
    config: TrainConfig,
    networks: Networks,
    loader: LoaderState,
    step: int,
    writer: Writer,
) -> None:
    """Every process calls this. What is small is written at once, the weights' copy by `writer`.

    Raises TrainingError, in all, if one cannot write, or could not write what came before; older
    checkpoints stay.
    """
    writer.settle(accelerator)
    root = Path(config.output) / FOLDER
    partial, failure = root / f".step_{step:08d}", ""
    if accelerator.is_main_process:
        shutil.rmtree(partial, ignore_errors=True)
    accelerator.wait_for_everyone()
    try:
        partial.mkdir(parents=True, exist_ok=True)
        _write_chance(accelerator, loader, partial)
    except WRITE_ERRORS as error:
        failure = _reason(error)
    if not all_agree(accelerator, not failure):
        if accelerator.is_main_process:
            shutil.rmtree(partial, ignore_errors=True)
        raise _not_written(config, step, failure or "another process failed")
    if accelerator.is_main_process:
        weights = _Weights.of(networks)
        writer.submit(lambda: _complete(config, weights, step, partial))


def load_checkpoint(
    accelerator: Accelerator, checkpoint: Checkpoint, networks: Networks
) -> LoaderState:
    """Restore networks, optimisers, moving average and chance; where the data stood.

    A run with other numbers of processes goes on with the data state of the first process, which
    its loader then recognises as another's. Raises TrainingError for a damaged checkpoint.
    """
    folder, rank = checkpoint.folder, accelerator.process_index
    chance = folder / f"random_states_{rank}.pkl"
    try:
        if chance.is_file():
            load(chance)  # Accelerate says nothing where it cannot restore chance
        accelerator.load_state(str(folder))
        networks.ema.generator.load_state_dict(load_tensors(folder / EMA_FILE))
        data = folder / f"data_{rank}.json"
        data = data if data.is_file() else folder / "data_0.json"
        return LoaderState.from_json(read_record(data))
    except READ_ERRORS as error:
        raise _damaged(checkpoint, error) from error


def _damaged(checkpoint: Checkpoint, error: Exception) -> TrainingError:
    return TrainingError(
        f"The checkpoint {checkpoint.folder} is damaged ({_reason(error)}). Resume from an older "
        "one: --resume FOLDER."
    )


def _reason(error: Exception) -> str:
    return (str(error).strip().splitlines() or [repr(error)])[0]


def _not_written(config: TrainConfig, step: int, reason: str) -> TrainingError:
    root = Path(config.output) / FOLDER
    return TrainingError(
        f"The checkpoint of step {step} could not be written to {root}: {reason}. "
        f"{_survivor(config)}"
    )


def _discard(folder: Path) -> None:
    """Delete a checkpoint; one that a kill leaves half deleted is not taken for a whole one."""
    hidden = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


@dataclass(frozen=True, eq=False)
class _Weights:
    """Copies of all that a step changes, on the CPU.

    networks: generator's and discriminator's state; optimisers: theirs; average: the moving one's.
    """

    networks: list[dict[str, Tensor]]
    optimisers: list[dict[str, object]]
    average: dict[str, Tensor]

    @classmethod
    def of(cls, networks: Networks) -> _Weights:
        both = networks.plain_generator, networks.plain_discriminator
        optimisers = networks.generator_optimizer, networks.discriminator_optimizer
        return cls(
            [copied(network.state_dict()) for network in both],
            [copied(optimiser.state_dict()) for optimiser in optimisers],
            copied(networks.ema.generator.state_dict()),
        )


def copied(state: object) -> object:
    """A state_dict whose tensors lie on the CPU and change no more."""
    if isinstance(state, Tensor):
        return state.detach().to("cpu", copy=True).contiguous()
    if isinstance(state, dict):
        return {name: copied(value) for name, value in state.items()}
    return copy.deepcopy(state)


def _write_chance(accelerator: Accelerator, loader: LoaderState, folder: Path) -> None:
    """This process's random states and place in the data."""
    rank = accelerator.process_index
    # Accelerate's own, of nothing but chance (and a scaler, if there is one).
    save_accelerator_state(
        *(str(folder), [], [], [], [], rank, accelerator.step, accelerator.scaler)
    )
    (folder / f"data_{rank}.json").write_text(json.dumps(loader.to_json()))


def _complete(config: TrainConfig, weights: _Weights, step: int, partial: Path) -> None:
    """Write the weights beside the rest, give the folder its name, and discard the oldest.

    Raises TrainingError; nothing of this checkpoint is left then.
    """
    final = partial.with_name(f"step_{step:08d}")
    try:
        for i, (network, optimiser) in enumerate(
            zip(weights.networks, weights.optimisers, strict=True)
        ):
            number = f"_{i}" if i else ""  # as accelerator.load_state reads them
            save_file(network, partial / f"{SAFE_MODEL_NAME}{number}.safetensors")
            torch.save(optimiser, partial / f"{OPTIMIZER_NAME}{number}.bin")
        save_file(weights.average, partial / EMA_FILE)
        run = {"step": step, "config": asdict(config)}
        (partial / RUN_FILE).write_text(json.dumps(run, indent=2))
        if final.exists():  # the same step saved again, at its end or after a resume
            _discard(final)
        partial.rename(final)
        for old in checkpoints_of(Path(config.output))[: -config.keep_checkpoints]:
            _discard(old.folder)
    except WRITE_ERRORS as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _not_written(config, step, _reason(error)) from error


def _survivor(config: TrainConfig) -> str:
    found = checkpoints_of(Path(config.output))
    if not found:
        return "Free some space, and start again."
    return f"That of step {found[-1].step} is whole: free some space, and continue with --resume."
