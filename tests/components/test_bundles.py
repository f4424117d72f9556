"""The committed bundles belong to the sources beside them, need no network, and never write names as HTML."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

ROOM = Path(__file__).resolve().parents[2] / "components"
BUNDLES = json.loads((ROOM / "bundles.json").read_text())
SOURCES = sorted(
    path for place in ("shared", "*/src") for path in ROOM.glob(f"{place}/*") if path.suffix in (".ts", ".tsx")
)


def digest(name: str) -> str:
    """The digest that components/build.mjs writes into the first line of a bundle."""
    found = hashlib.sha256()
    for folder in ("shared", *(f"{part}/src" for part in BUNDLES[name])):
        for file in sorted(file for file in (ROOM / folder).iterdir() if file in SOURCES and ".test." not in file.name):
            found.update(f"{folder}/{file.name}\n".encode() + file.read_bytes())
    return (found.update((ROOM / "package.json").read_bytes()) or found).hexdigest()[:32]


@pytest.mark.parametrize("name", [*BUNDLES])
def test_the_bundle_was_built_from_these_sources(name):
    first = (ROOM / name / f"{name}.js").read_text(encoding="utf-8").split("\n", 1)[0]
    assert digest(name) in first, "run `npm ci && npm run build` in components/"


def test_every_script_is_the_bundle_of_typed_sources():
    scripts = {path.relative_to(ROOM).as_posix() for path in ROOM.rglob("*.js") if "node_modules" not in path.parts}
    assert scripts == {f"{name}/{name}.js" for name in BUNDLES}


@pytest.mark.parametrize("name", [*BUNDLES])
def test_a_bundle_loads_nothing_from_elsewhere(name):
    text = (ROOM / name / f"{name}.js").read_text(encoding="utf-8")
    assert not re.search(r"\bimport\s*\(|\bfrom\s*[\"'][\w@./:-]+[\"']|importScripts", text)
    assert not re.search(r"\bfetch\s*\(\s*[\"'`]https?:|src\s*=\s*[\"'`]https?:", text)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: f"{path.parent.parent.name}/{path.name}")
def test_sources_never_write_html(path):
    text = re.sub(r"//.*", "", path.read_text(encoding="utf-8"))
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment", text)
    assert len(text.splitlines()) <= 400


def test_the_lock_file_pins_every_package_and_names_no_host():
    lock = json.loads((ROOM / "package-lock.json").read_text())
    packages = {name: entry for name, entry in lock["packages"].items() if name}
    assert "http" not in (ROOM / "package-lock.json").read_text()
    assert all("integrity" in entry and "version" in entry for entry in packages.values())
    wanted = json.loads((ROOM / "package.json").read_text())["devDependencies"]
    assert all(lock["packages"][f"node_modules/{name}"]["version"] == version for name, version in wanted.items())


def test_licences_of_everything_inside_the_map_are_there():
    text = (ROOM / "licenses.txt").read_text(encoding="utf-8")
    for name in ("regl-scatterplot", "regl", "pub-sub-es", "dom-2d-camera", "camera-2d-simple", "gl-matrix", "kdbush"):
        assert re.search(rf"^{re.escape(name)} \d+\.\d+\.\d+ \((MIT|ISC)\)", text, re.MULTILINE), name
    assert "Permission is hereby granted" in text and "carries no text" not in text
