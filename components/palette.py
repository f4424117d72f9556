"""The colours of clusters and values, as the engine's figures use them too."""

from __future__ import annotations

from engine.core.palette import CATEGORIES, NOISE, RAMP, category_color

__all__ = ["CATEGORIES", "NOISE", "RAMP", "category_color"]
