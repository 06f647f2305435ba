"""A training step on a process's share of a joint batch: its gradients, statistics and losses.

    python tests/support/training/two_process_step.py FOLDER

alone, or by torchrun in several processes; the first writes FOLDER/VARIANT.safetensors for each.
FOLDER/teacher.pt is the identity loss's teacher.
In float64: rounding decides on which side of a kink (L1, ReLU) a float32 value lies, and merely
reversing the order of a batch then changes gradients by 1e-2.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch
from accelerate import Accelerator
from accelerate.state import GradientState, PartialState
from safetensors.torch import save_file
from torch import Tensor, nn

from simswap.models.generator import GeneratorConfig
from simswap.weights.bundle import load_bundle
from train.config import DiscriminatorConfig, TrainConfig
from train.errors import TrainingError
from train.loop.setup import make_output_folder
from train.loop.steps import Pairs, train_step
from train.networks.trained import FrozenNetworks, Networks

SIZE, JOINT_BATCH = 32, 4
BASE = TrainConfig(
    data="examples",
    teachers=("assets/models/simswap-lite-128",),
    generator=GeneratorConfig(channels=(4, 8), num_blocks=1, embedding_scale=512**0.5),
    discriminator=DiscriminatorConfig(width=4),
    crop_size=SIZE,
    mixed_precision="no",
    discriminator_from=0,
    max_grad_norm=1e9,
)
VARIANTS = {
    "spectral norm": replace(BASE, discriminator=replace(BASE.discriminator, spectral_norm=True)),
    "gradient penalty": replace(
        BASE,
        weights=replace(BASE.weights, gradient_penalty=10.0),
    ),
    "accumulation": replace(BASE, accumulation=2),
}


def joint_batches(config: TrainConfig) -> list[Pairs]:
    """The batches of all processes together; dark ones after bright ones, as photos come."""
    random = torch.Generator().manual_seed(1)
    light = torch.linspace(0.2, 1, JOINT_BATCH)[:, None, None, None]
    return [
        Pairs(
            light * torch.rand(JOINT_BATCH, 3, SIZE, SIZE, generator=random),
            light * torch.rand(JOINT_BATCH, 3, 112, 112, generator=random),
            same=True,
        )
        for _ in range(config.accumulation)
    ]


def record_gradients(
    found: dict[str, Tensor], name: str, network: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Keep what each update is made from."""

    def keep(*_: object) -> None:
        for parameter, value in network.named_parameters():
            found[f"{name}.{parameter}"] = value.grad.clone().contiguous()

    optimizer.register_step_pre_hook(keep)


def small_identity_network(size: int) -> nn.Sequential:
    """Seeded, and cheap in float64, for which torch has no fast convolutions."""
    torch.manual_seed(2)
    return nn.Sequential(
        *(nn.AvgPool2d(4), nn.Conv2d(3, 8, 4, 4), nn.Tanh(), nn.Flatten(), nn.Linear(392, size))
    ).double()


def take_step(config: TrainConfig) -> dict[str, Tensor]:
    """Gradients of the generator (G.) and the discriminators (D.), running statistics, losses."""
    GradientState._reset_state()  # Accelerate counts accumulated batches for all runs at once
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=config.accumulation)
    rank, world = accelerator.process_index, accelerator.num_processes
    torch.manual_seed(0)
    networks = Networks(config, accelerator.device)
    found: dict[str, Tensor] = {"world": torch.tensor(world)}
    record_gradients(found, "G", networks.plain_generator, networks.generator_optimizer)
    record_gradients(found, "D", networks.plain_discriminator, networks.discriminator_optimizer)
    networks.prepare(accelerator)
    base = replace(load_bundle(), identity_network=small_identity_network(512))
    frozen = FrozenNetworks(config, base, accelerator.device)

    count = JOINT_BATCH // world
    mine = slice(rank * count, (rank + 1) * count)
    batches = [
        Pairs(batch.targets[mine], batch.sources[mine], batch.same)
        for batch in joint_batches(config)
    ]
    torch.manual_seed(7)
    torch.rand(rank * count)  # the gradient penalty's, of the pairs that other processes have
    losses = train_step(accelerator, config, 0, batches, networks, frozen)
    for name, buffer in networks.plain_generator.named_buffers():
        found[f"statistics.{name}"] = buffer.clone()
    for name, value in losses.items():
        found[f"loss.{name}"] = accelerator.gather(value.reshape(1)).mean()
    return found


def refusal_of_own_folders(folder: Path) -> str:
    """What is said if each process, as on a node without a shared disk, has a folder of its own."""
    own = replace(BASE, output=str(folder / f"node {PartialState().process_index}"))
    try:
        make_output_folder(Accelerator(cpu=True), own, 0)
    except TrainingError as error:
        return str(error)
    return ""


def main(folder: Path) -> None:
    """All variants, one after the other."""
    for name, config in VARIANTS.items():
        teacher = str(folder / "teacher.pt")
        found = take_step(replace(config, teachers=(teacher,)))
        if PartialState().is_main_process:
            save_file(found, folder / f"{name}.safetensors")
    refusal = refusal_of_own_folders(folder)
    if PartialState().is_main_process:
        (folder / "refusal.txt").write_text(refusal)
    PartialState().destroy_process_group()


if __name__ == "__main__":
    torch.set_default_dtype(torch.float64)
    torch.Tensor.float = torch.Tensor.double
    os.chdir(Path(__file__).parents[3])
    main(Path(sys.argv[1]))
