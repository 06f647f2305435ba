"""Where these tests run: on a CUDA device, and, so that they are ready for one, on the CPU."""

import numpy as np
import pytest
import torch

from simswap import FaceSwapper, Identity
from simswap.models import inference
from simswap.weights.bundle import load_bundle

BF16_CPU = {"avx512_bf16": True}  # where it is not, the CPU imitates it


@pytest.fixture(scope="module", params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.param)


@pytest.fixture(scope="module")
def on_device(device: torch.device) -> FaceSwapper:
    """The bundled model, run by torch in float32."""
    return FaceSwapper(load_bundle(), device, runtime="torch")


@pytest.fixture(scope="module")
def in_half(device: torch.device) -> FaceSwapper:
    """The same, as a large generator runs: in bfloat16."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(inference, "LARGE_GENERATOR", 0)
        patched.setattr(torch.cpu, "get_capabilities", lambda: BF16_CPU)
        return FaceSwapper(load_bundle(), device, runtime="torch")


@pytest.fixture(scope="module")
def expected(swapper: FaceSwapper, astronaut: np.ndarray, identity: Identity) -> np.ndarray:
    """What torch on the CPU makes of a photo in float32, [H, W, 3] uint8 RGB."""
    return swapper.in_torch().swap_image(astronaut, identity).image
