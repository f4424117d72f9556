"""A small CLIP with random weights, in the format in which open_clip's repositories on the hub hold theirs."""

from __future__ import annotations

import json
from pathlib import Path

SMALL = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 64, "layers": 2, "width": 32, "head_width": 16, "patch_size": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}
MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.3]


def open_clip_model(folder: Path) -> Path:
    """Write the configuration and the checkpoint, and return the folder."""
    import open_clip
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    config = {"model_cfg": SMALL, "preprocess_cfg": {"mean": MEAN, "std": STD}}
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    torch.save(open_clip.CLIP(**SMALL).state_dict(), folder / "open_clip_pytorch_model.bin")
    return folder
