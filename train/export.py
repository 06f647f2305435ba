"""Put a trained generator and the distilled networks into a bundle that the demo loads.

    python -m train.export --run runs/lite-128 --output assets/models/simswap-lite-128

The identity network and the detector are taken from `identity.safetensors` and
`detector.safetensors` in --networks (default: the output folder itself).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path

from safetensors.torch import load_file
from torch import nn

from simswap.bundle import Alignment, Bundle, BundleConfig, save_bundle
from simswap.models.detector import DetectorConfig, FaceDetector
from simswap.models.generator import Generator, GeneratorConfig
from simswap.models.identity import IdentityConfig, build_identity_network

LICENCE = (
    "Research use only: trained on photos without a data licence (LFW, Glint360K, All-Age-Faces)."
)
# What the run's config tells a reader of the bundle; the rest concerns its machine.
FACTS = (
    "num_steps",
    "batch_size",
    "learning_rate",
    "final_learning_rate",
    "ema_decay",
    "discriminator_from",
    "weights",
    "seed",
)


def load_weights(network: nn.Module, path: Path) -> nn.Module:
    """The network in eval mode with a safetensors file's weights, widened to float32."""
    state = {
        name: value.float() if value.is_floating_point() else value
        for name, value in load_file(path).items()
    }
    network.load_state_dict(state)
    return network.eval()


def assemble(run: Path, networks: Path, name: str, weights: str) -> Bundle:
    """The bundle of a run's generator (its file `weights`) and two distilled networks.

    Raises FileNotFoundError if the run or one of the networks is missing.
    """
    stored = json.loads((run / "config.json").read_text())
    generator_fields = {item.name for item in fields(GeneratorConfig)}
    settings = {key: value for key, value in stored["generator"].items() if key in generator_fields}
    settings["channels"] = tuple(settings["channels"])
    config = BundleConfig(
        name=name,
        generator=GeneratorConfig(**settings),
        identity=IdentityConfig(),
        detector=DetectorConfig(),
        alignment=Alignment(stored["crop_template"], stored["crop_size"]),
        training={fact: stored[fact] for fact in FACTS}
        | {"teachers": [Path(path).stem for path in stored["teachers"]]},
        licence=LICENCE,
    )
    return Bundle(
        config,
        load_weights(Generator(config.generator), run / weights),
        load_weights(build_identity_network(config.identity), networks / "identity.safetensors"),
        load_weights(FaceDetector(config.detector), networks / "detector.safetensors"),
    )


def main() -> None:
    """Assemble and save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--run", type=Path, required=True, help="output folder of train.train")
    parser.add_argument("--output", type=Path, required=True, help="the bundle to write")
    parser.add_argument("--networks", type=Path, help="default: the output folder")
    parser.add_argument("--name", help="bundle id (default: the output folder's name)")
    parser.add_argument("--card", type=Path, help="model card (default: the one already there)")
    parser.add_argument(
        "--plain",
        action="store_true",
        help="the weights of the last step; after a short run their average still lags behind",
    )
    arguments = parser.parse_args()
    output = arguments.output
    card = (arguments.card or output / "README.md").read_text()
    weights = "generator_plain.safetensors" if arguments.plain else "generator.safetensors"
    name = arguments.name or output.name
    bundle = assemble(arguments.run, arguments.networks or output, name, weights)
    save_bundle(bundle, output, card)
    print(f"Wrote {output} ({sum(f.stat().st_size for f in output.iterdir()) / 1e6:.1f} MB)")


if __name__ == "__main__":
    main()
