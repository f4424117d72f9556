"""Every deep method saves the step at hand before Ctrl-C ends it, and goes on from there bit for bit."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from engine.clustering.deep.checkpoints import list_checkpoints, load_tensors
from engine.clustering.registry import find_method
from engine.core.errors import Interrupted
from tests.engine.clustering.deep.common import Listener, groups

VECTORS, _ = groups(90, 12, 3)
PICTURES = np.random.default_rng(0).integers(0, 256, (48, 16, 16, 3), dtype=np.uint8)
SMALL = {
    "temi": {
        "n_epochs": 6,
        "n_heads": 2,
        "hidden_dim": 8,
        "bottleneck_dim": 8,
        "batch_size": 30,
        "warm_start_steps": 3,
    },
    "cludi": {"n_epochs": 6, "batch_size": 30, "embedding_dim": 8, "sampling_steps": 3, "warm_start_steps": 3},
    "cpp": {"n_epochs": 6, "batch_size": 30, "width": 16, "feature_dim": 8, "warm_start_steps": 3},
    "turtle": {"n_epochs": 6, "batch_size": 30, "n_heads": 2, "warm_start_steps": 3},
    "hadis": {"n_epochs": 3, "batch_size": 16, "image_size": 16},
}


class Interrupting(Listener):
    """Sends this process Ctrl-C when the fifth step is reported."""

    def update(self, done, total, *, phase="", unit="", **metrics):
        super().update(done, total, phase=phase, unit=unit, **metrics)
        if phase == "training" and done == 5:
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize("name", SMALL)
def test_ctrl_c_loses_no_step(tmp_path, name):
    method = find_method(name)
    settings = method.settings_class(n_clusters=3, device="cpu", **SMALL[name])
    data = PICTURES if method.takes == "images" else VECTORS
    whole = method.build(settings).fit(data)
    listener = Interrupting()
    with pytest.raises(Interrupted):
        method.build(settings).fit(data, progress=listener, checkpoints=tmp_path)
    saved = load_tensors(list_checkpoints(tmp_path)[0][1])
    assert saved["step"] == listener.steps == 5
    resumed = method.build(settings).fit(data, checkpoints=tmp_path)
    np.testing.assert_array_equal(resumed.labels_, whole.labels_)
    np.testing.assert_array_equal(resumed.confidence_, whole.confidence_)
