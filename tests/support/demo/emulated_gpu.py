"""The demo where a GPU is lent call by call: `spaces` emulates CUDA, on a CPU.

    python -m tests.support.demo.emulated_gpu SWAPPED.npy

It computes on the CPU, but refuses what a GPU would: tensors of two devices in one operation; and
whatever would start CUDA outside of a lent call.
"""

import json
import os
import sys

import numpy as np
import torch

from tests.support.examples import read_example


def emulate() -> None:
    """Let `spaces` take torch over, as it does on such a Space."""
    os.environ.update(SPACES_ZERO_GPU="true", SPACES_ZERO_DEVICE_API_URL="http://127.0.0.1:9")
    if torch.version.cuda is None:  # what a build of torch for CPUs lacks, and `spaces` looks at
        torch.version.cuda, torch._C._cuda_init = "13.0", torch.cuda.init
        torch.cuda._is_in_bad_fork = torch.cuda.is_initialized
    import spaces  # noqa: F401


def main() -> None:
    """Build the page, swap a photo as a lent GPU would, and say what was seen."""
    emulate()
    from spaces.zero.decorator import decorated_cache

    import app
    from simswap.demo import models

    app.build_page()
    model = models.by_name(None)
    identity = model.identity_of(read_example("grace_hopper.jpg"))
    np.save(sys.argv[1], model.swap_image(read_example("astronaut.jpg"), identity).image)
    seen = {
        "device": str(model.device),
        "runtime": model.running.generator.runtime,
        "weights": sorted({str(weights.device) for weights in model.generator.parameters()}),
        "lent": sorted({function.__qualname__ for function in decorated_cache}),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
