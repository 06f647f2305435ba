"""What the page says of the server that it runs on."""

from __future__ import annotations

import logging

import spaces  # noqa: F401 (before torch, which it prepares for a GPU that is lent call by call)
import torch

from simswap import SigningError
from simswap.demo import models
from simswap.provenance.signing import default_signer

logger = logging.getLogger(__name__)


def signing() -> str:
    """Who signs results, for the visitor; the operator's log has it too if nobody can."""
    try:
        signer = default_signer()
    except SigningError as error:
        logger.warning("Results are not signed. %s", error)
        return f"Results are not signed: {error}"
    if signer.is_self_made:
        return (
            "Results are signed (Content Credentials) with this installation's own certificate: "
            "other programs will call the signer unknown."
        )
    return "Results are signed (Content Credentials) with the operator's certificate."


def machine() -> str:
    """What swaps run on, for the visitor."""
    device = models.by_name(None).device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"
