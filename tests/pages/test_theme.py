"""The theme's colours can be read: text on its ground, and the words of primary buttons, reach WCAG's AA."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THEME = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
STYLE = (ROOT / "pages" / "shared" / "frame.css").read_text(encoding="utf-8")
SCHEMES = ("light", "dark")
AA = 4.5


def luminance(color: str) -> float:
    """WCAG's relative luminance of #RRGGBB."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG's contrast, 1 to 21."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def own(name: str, scheme: str) -> str:
    """A colour of the frame's own style sheet."""
    found = re.search(rf"--k-{name}: light-dark\((#[0-9A-F]{{6}}), (#[0-9A-F]{{6}})\)", STYLE)
    assert found, name
    return found[1 + SCHEMES.index(scheme)]


def test_the_contrast_is_that_of_the_standard():
    assert contrast("#FFFFFF", "#000000") == pytest.approx(21)
    assert contrast("#FFFFFF", "#6EA0FF") == pytest.approx(2.6, abs=0.05)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_words_on_a_primary_button_can_be_read(scheme):
    assert "color: var(--k-on-accent) !important" in STYLE
    assert contrast(own("on-accent", scheme), THEME[scheme]["primaryColor"]) >= AA


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_frames_colours_are_the_themes(scheme):
    for name, key in (("ground", "backgroundColor"), ("text", "textColor"), ("accent", "primaryColor")):
        assert own(name, scheme) == THEME[scheme][key]
    assert own("quiet", scheme) == THEME[scheme]["grayTextColor"]
    assert own("surface", scheme) == THEME[scheme]["secondaryBackgroundColor"]
    assert own("raised", scheme) == THEME[scheme]["sidebar"]["secondaryBackgroundColor"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["text", "quiet", "bad", "warn"])
def test_words_can_be_read_on_every_ground(scheme, name):
    theme = THEME[scheme]
    grounds = [theme["backgroundColor"], theme["secondaryBackgroundColor"], theme["sidebar"]["backgroundColor"]]
    grounds.append(theme["sidebar"]["secondaryBackgroundColor"])
    assert min(contrast(own(name, scheme), ground) for ground in grounds) >= AA


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("key", ["greenTextColor", "orangeTextColor", "redTextColor", "grayTextColor", "linkColor"])
def test_coloured_words_can_be_read_on_the_page(scheme, key):
    assert contrast(THEME[scheme][key], THEME[scheme]["backgroundColor"]) >= AA
