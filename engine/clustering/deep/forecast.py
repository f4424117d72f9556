"""What a training will do, before it starts: which settings a preset chose, and about how long it takes.

Settings flow in as they were given and as they were resolved; names, seconds and one sentence flow out. No torch.
"""

from __future__ import annotations

import time
from functools import cache

import numpy as np

from engine.clustering.deep.presets import DeepSettings, steps_per_epoch
from engine.core.settings import controls

# Share of a plain matrix product's speed that training reaches (.4 to .6 with the defaults of TEMI, the four-term head,
# CLUDI and CPP on 1,797 images and two cores), and seconds that a step takes beside its products.
EFFICIENCY = 0.5
STEP_SECONDS = 3e-3
GPU_RATE = 4e12


def chosen(settings: DeepSettings, resolved: DeepSettings) -> dict[str, object]:
    """Return the settings that nobody gave and that the preset moved away from their published values."""
    values = resolved.model_dump()
    return {
        control.name: values[control.name]
        for control in controls(type(settings))
        if control.name not in settings.model_fields_set and values[control.name] != control.default
    }


def total_steps(resolved: DeepSettings, n: int) -> int:
    """Return the optimiser steps of resolved settings on `n` images, those of a warm start included."""
    values = resolved.model_dump()
    return int(values["n_epochs"]) * steps_per_epoch(n, int(values["batch_size"])) + resolved.steps_before


def duration(resolved: DeepSettings, n: int, columns: int, device: str) -> float:
    """Return about how long resolved settings train on "cpu", "cuda" or "mps"; right within a factor of three."""
    rate = EFFICIENCY * product_rate() if device == "cpu" else GPU_RATE
    return total_steps(resolved, n) * (STEP_SECONDS + resolved.multiply_adds(n, columns) / rate)


def forecast(settings: DeepSettings, resolved: DeepSettings, n: int, columns: int, device: str) -> str:
    """Return the sentence that is said before a training starts."""
    words = {control.name: control.label for control in controls(type(settings))}
    found = [f"{words[name]} {_text(value)}" for name, value in chosen(settings, resolved).items()]
    told = f"Chosen for these {n:,} images: {', '.join(found)}. " if found else ""
    left = human_time(duration(resolved, n, columns, device))
    return f"{told}{total_steps(resolved, n):,} steps on {device.upper()}, about {left}."


def human_time(value: float) -> str:
    """Return "40 seconds", "3 minutes" or "5 hours"."""
    if value < 1.5:
        return "1 second"
    if value < 100:
        return f"{round(value)} seconds"
    return f"{round(value / 60)} minutes" if value < 6000 else f"{round(value / 3600)} hours"


@cache
def product_rate() -> float:
    """Return this machine's multiplications a second in a product of two matrices, float32."""
    side = 256
    square = np.ones((side, side), dtype=np.float32)
    fastest = np.inf
    for _ in range(40):  # the best of many: what else runs at this moment is not the machine's speed
        began = time.perf_counter()
        square @ square
        fastest = min(fastest, time.perf_counter() - began)
    return float(side**3 / fastest)


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
