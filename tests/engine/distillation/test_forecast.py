"""The forecast is made of measured steps: more of them take longer, and a run takes about what was said."""

from __future__ import annotations

import pytest

from engine.distillation import forecast
from engine.distillation.settings import DistilSettings


@pytest.fixture
def counted(monkeypatch):
    """Let every timed piece of work take exactly one second, and count how many there were."""
    pieces = []

    def timed(work):
        work()
        pieces.append(work)
        return 1.0

    monkeypatch.setattr(forecast, "timed", timed)
    return pieces


def test_each_part_is_run_and_multiplied_by_how_often_it_comes(counted):
    settings = DistilSettings(
        preset="thorough", methods=("lgm",), distill_epochs=10, n_experts=3, evaluate=False, images_per_class=2
    )
    found = forecast.seconds_needed(settings, 500, 20, 4)
    experts = settings.expert_epochs * 32  # 500 images make 32 batches
    assert found == pytest.approx(1 + experts + 10 * 3 / forecast.STEPS, rel=0.05)


def test_a_preset_with_more_to_do_takes_longer(counted):
    found = [forecast.seconds_needed(DistilSettings(preset=name), 400, 16, 4) for name in DistilSettings.presets]
    assert found == sorted(found) and found[0] < found[1] < found[2]
