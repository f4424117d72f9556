"""Numbers and times in the person's words."""

from __future__ import annotations


def count(number: int, noun: str, plural: str = "") -> str:
    """Return "1 image", "12,480 images"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def figure(value: float) -> str:
    """Return a share or a score with at most three digits: ".025", "-.31", "1"."""
    text = f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 0.1 else f"{value:.3f}"
    text = text.rstrip("0").rstrip(".") if float(text) in (-1.0, 0.0, 1.0) else text
    text = text.replace("0.", ".", 1) if text.lstrip("-").startswith("0.") else text
    return "0" if text in ("-0", "") else text


def duration(seconds: float | None) -> str:
    """Return "about 3 minutes"; empty for None."""
    if seconds is None:
        return ""
    if seconds < 2:
        return "a moment"
    if seconds < 90:
        return f"about {seconds:.0f} seconds"
    if seconds < 5400:
        return f"about {seconds / 60:.0f} minutes"
    return f"about {seconds / 3600:.1f} hours"


def size(n_bytes: float) -> str:
    """Return "1.4 MB"."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.0f} {unit}" if unit == "bytes" else f"{n_bytes:.1f} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.1f} TB"
