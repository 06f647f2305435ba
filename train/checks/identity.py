r"""Verification accuracy of an identity network: do two photos show the same person?

    python -m train.checks.identity --model assets/models/simswap-lite-128 \
        --data ../shared/data/eval

Every pair of photos of one identity is taken, and as many seeded pairs of different identities.
The accuracy is the mean over ten folds, each with the threshold that is best on the other nine.
`--teachers FOLDER` prints the same figure for the TorchScript teachers in that folder.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from simswap.models.identity import IdentityConfig, build_identity_network, embed_identity
from simswap.weights.bundle_config import read_json
from simswap.weights.weight_files import load_tensors
from train.pairing.alignment import align_source
from train.pairing.identity_crops import embed_crops

logger = logging.getLogger(__name__)

NUM_FOLDS = 10
TEACHERS = ("edgeface_xs.pt", "edgeface_xxs.pt", "mobilefacenet_ms1m.pt")


def load_evaluation_set(folder: Path) -> tuple[np.ndarray, list[str]]:
    """Aligned crops and identities of a folder with photos/ and photos.csv.

    -> [N, 112, 112, 3] uint8 RGB, and N identity names.
    """
    crops, identities = [], []
    with (folder / "photos.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            photo = cv2.imread(str(folder / "photos" / row["file"]), cv2.IMREAD_COLOR_RGB)
            if photo is None:
                raise FileNotFoundError(f"{folder / 'photos' / row['file']} cannot be read.")
            landmarks = np.array([[float(row[f"{axis}{i}"]) for axis in "xy"] for i in range(5)])
            crops.append(align_source(photo, landmarks))
            identities.append(row["identity"])
    return np.stack(crops), identities


def balanced_pairs(
    identities: Sequence[str] | np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """All same-identity pairs and equally many random different ones, in seeded random order.

    -> [P, 2] indices into `identities`, [P] bool whether the two are the same person.
    """
    random = np.random.default_rng(seed)
    names, labels = np.unique(np.asarray(identities), return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"Different-identity pairs need two identities; there are {len(names)}.")
    same = [
        pair
        for label in range(len(names))
        for pair in combinations(np.flatnonzero(labels == label).tolist(), 2)
    ]
    different: set[tuple[int, int]] = set()
    while len(different) < len(same):
        first, second = sorted(random.integers(len(labels), size=2).tolist())
        if labels[first] != labels[second]:
            different.add((first, second))
    pairs = np.array(same + sorted(different))
    is_same = np.arange(len(pairs)) < len(same)
    order = random.permutation(len(pairs))
    return pairs[order], is_same[order]


def verification_accuracy(
    embeddings: Tensor, identities: Sequence[str] | np.ndarray, seed: int = 0
) -> float:
    """Ten-fold accuracy in [0, 1] on `balanced_pairs`. embeddings: [N, E], unit norm."""
    pairs, is_same = balanced_pairs(identities, seed)
    vectors = embeddings.numpy()
    cosines = (vectors[pairs[:, 0]] * vectors[pairs[:, 1]]).sum(1)
    fold = np.arange(len(pairs)) % NUM_FOLDS
    correct = 0
    for held_out in range(NUM_FOLDS):
        threshold = _best_threshold(cosines[fold != held_out], is_same[fold != held_out])
        test = fold == held_out
        correct += ((cosines[test] >= threshold) == is_same[test]).sum()
    return float(correct / len(pairs))


def _best_threshold(cosines: np.ndarray, is_same: np.ndarray) -> float:
    order = np.argsort(cosines)
    sorted_same = is_same[order]
    # A threshold at place i calls the pairs below it different and the others same.
    num_correct = np.concatenate([[0], np.cumsum(~sorted_same)]) + np.concatenate(
        [np.cumsum(sorted_same[::-1])[::-1], [0]]
    )
    place = int(num_correct.argmax())
    values = np.concatenate([[-1.0], cosines[order], [1.0]])
    return float((values[place] + values[place + 1]) / 2)


def load_identity_network(weights: Path, config: IdentityConfig) -> nn.Module:
    """The network in eval mode with the weights of a safetensors file (half floats are widened)."""
    network = build_identity_network(config)
    network.load_state_dict({name: value.float() for name, value in load_tensors(weights).items()})
    return network.eval().requires_grad_(False)


def main() -> None:
    """Print the verification accuracy of a bundle's identity network, and of teachers if asked."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, help="bundle folder with config.json")
    parser.add_argument("--identity", type=Path, help="a lone identity.safetensors instead")
    parser.add_argument("--data", type=Path, required=True, help="folder: photos/ and photos.csv")
    parser.add_argument("--teachers", type=Path, help="folder of TorchScript teachers")
    parser.add_argument("--seed", type=int, default=0, help="of the different-identity pairs")
    arguments = parser.parse_args()
    if (arguments.model is None) == (arguments.identity is None):
        parser.error("give either --model FOLDER or --identity FILE")

    config, weights = IdentityConfig(), arguments.identity
    if arguments.model is not None:
        stored = read_json(arguments.model)
        config = IdentityConfig(**stored["identity"])
        weights = arguments.model / "identity.safetensors"
    crops, identities = load_evaluation_set(arguments.data)
    network = load_identity_network(weights, config)
    encoders = {str(weights): lambda batch: embed_identity(network, batch)}
    for name in TEACHERS if arguments.teachers else ():
        encoders[name] = torch.jit.load(arguments.teachers / name, map_location="cpu").eval()
    num_pairs = len(balanced_pairs(identities, arguments.seed)[0])
    logger.info("%d photos, %d identities, %d pairs", len(crops), len(set(identities)), num_pairs)
    for name, encoder in encoders.items():
        accuracy = verification_accuracy(embed_crops(encoder, crops), identities, arguments.seed)
        logger.info("%s: verification accuracy %.2f %%", name, 100 * accuracy)


if __name__ == "__main__":
    main()
