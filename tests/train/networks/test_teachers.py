"""Loading the networks of the identity loss."""

import torch
from torch import nn

from train.networks.teachers import load_teacher

CPU = torch.device("cpu")


def test_a_traced_teacher_makes_its_own_tensors_on_the_runs_device(tmp_path):
    class WithNoise(nn.Module):
        def forward(self, crops: torch.Tensor) -> torch.Tensor:
            fixed = torch.arange(8.0)  # depends on no input, so freezing computes it
            return crops.mean((2, 3)).repeat(1, 3)[:, :8] + fixed + torch.zeros(crops.shape[0], 8)

    path, crops = tmp_path / "teacher.pt", torch.rand(2, 3, 112, 112)
    torch.jit.save(torch.jit.trace(WithNoise(), crops), path)
    torch.testing.assert_close(load_teacher(str(path), CPU)(crops), WithNoise()(crops))
    meta = torch.device("meta")  # computes nothing, but refuses tensors of other devices
    assert load_teacher(str(path), meta)(crops.to(meta)).device == meta
