"""Kindred's engine: everything that is not a screen. Import rooms as you need them; this file imports none."""
