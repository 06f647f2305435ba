"""Loading the networks of the identity loss."""

import torch
from torch import nn
from torch.nn import functional

from train.networks.teachers import CropToIdentityCrop, load_teacher

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


def test_the_bundled_identity_network_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_teacher("bundled", CPU)(torch.rand(2, 3, 112, 112)).shape == (2, 512)


def test_two_crops_of_one_template_differ_in_size_only():
    crops = torch.rand(1, 3, 224, 224)
    shrunk = CropToIdentityCrop("simswap_224", "simswap_224")(crops)
    torch.testing.assert_close(shrunk, functional.avg_pool2d(crops, 2), atol=1e-5, rtol=0)
