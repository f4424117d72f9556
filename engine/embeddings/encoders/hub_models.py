"""Loading a model that transformers saved, from a folder on this machine: quiet, strict, never executing its code."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

from engine.core.errors import WeightsError

_NEVER_SAVED = ("position_ids", "mask_token", "pooler")  # what checkpoints may lack without harm


def why_not_loaded(error: Exception) -> str:
    """Return the first sentence of what a loader raised; what follows advises on the loader's own options."""
    text = str(error).strip()
    if "ignore_mismatched_sizes" in text:
        return "the shapes of its weights are not those of its config.json"
    return text.splitlines()[0].split(". ")[0].rstrip(".:") if text else type(error).__name__


def load_hub_model(name: str, folder: Path) -> Any:  # noqa: ANN401 - a transformers model
    """Return the model of `folder` in single precision on the CPU.

    Raises
    ------
    WeightsError
        Damaged, incomplete, or of an architecture that transformers does not know.
    """
    import torch
    import transformers
    from safetensors import SafetensorError

    transformers.logging.disable_progress_bar()
    try:
        model, told = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, KeyError, SafetensorError, pickle.UnpicklingError) as error:
        raise WeightsError(
            f"{name} cannot be loaded: {why_not_loaded(error)}.", "Its files are damaged or of another model."
        ) from error
    missing = sorted(key for key in told["missing_keys"] if not any(part in key for part in _NEVER_SAVED))
    if missing:
        raise WeightsError(
            f"The weights of {name} lack {len(missing)} parameters, the first is {missing[0]}.",
            "The file belongs to another model; fetch it again.",
        )
    return model
