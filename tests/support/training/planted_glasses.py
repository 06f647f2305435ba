"""Made-up embeddings, of which some lie further along one direction, as those of wearers do."""

import torch
from torch.nn import functional as F

SIZE = 16


def unit(*shape: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(*shape, generator=random), dim=-1)


def planted(count: int = 400, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit embeddings of which a tenth lie further along the first axis, and which ones."""
    wears = torch.arange(count) % 10 == 0
    embeddings = unit(count, SIZE, seed=seed)
    embeddings[:, 0] += 0.8 * wears
    return F.normalize(embeddings, dim=1), wears
