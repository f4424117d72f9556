"""The HTML report: names are text, pictures are inside, nothing runs."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from engine.export.report import write_report
from engine.images.thumbnails import make_thumbnail
from engine.labels.quality import three_digits

from .conftest import png


class Seen(HTMLParser):
    """Collects tags, attributes and text."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.tags, self.images, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "img":
            self.images.append(dict(attrs))

    def handle_data(self, data):
        self.text.append(data)


def report(scene, tmp_path, **more):
    jpeg = make_thumbnail(png((200, 30, 30)))
    path = tmp_path / "report.html"
    options = {"title": "<script>alert(1)</script>", "paths": scene.images.paths, "thumbnail": lambda content: jpeg}
    write_report(path, scene.state(), **options | more)
    seen = Seen()
    seen.feed(path.read_text(encoding="utf-8"))
    return seen, path.read_text(encoding="utf-8"), jpeg


def test_hostile_names_are_text_and_pictures_are_inlined(scene, tmp_path):
    scene.history.rename(scene.state(), 1, '"><img src=x onerror=alert(1)> قط')
    seen, text, jpeg = report(scene, tmp_path, facts={"<b>Method": "k & k"})
    assert "script" not in seen.tags
    assert "b" not in seen.tags
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in seen.images)
    assert base64.b64decode(seen.images[0]["src"].split(",")[1]) == jpeg
    assert "<script>alert(1)</script>" in seen.text
    assert '"><img src=x onerror=alert(1)> قط' in seen.text
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=\"?http", text)
    assert "caf\\xe9.png" in [image["alt"] for image in seen.images], "bytes that are no text are visible"


def test_clusters_come_largest_first_with_their_sizes_and_bounds(scene, tmp_path):
    scene.history.audit(scene.state(), 0, shown=np.arange(2))
    seen, _, _ = report(scene, tmp_path)
    text = " ".join(seen.text)
    assert text.index("cat") < text.index("Cluster 1")
    assert "4 images, audited: 4 images at least 50% pure, 4 cluster name" in text
    assert len(seen.images) == 7


def test_the_most_typical_are_shown_and_the_rest_counted(scene, tmp_path):
    typicality = np.arange(8, dtype=np.float32)
    seen, text, _ = report(scene, tmp_path, typicality=typicality, samples=1, max_clusters=1)
    assert len(seen.images) == 1
    from engine.images.sources import shown

    assert seen.images[0]["alt"] == shown(scene.images.paths[3])
    assert "1 smaller clusters with 3 images are not shown" in text


def test_without_pictures_the_report_still_lists(scene, tmp_path):
    seen, _, _ = report(scene, tmp_path, thumbnail=lambda content: None)
    assert seen.images == []
    assert "cat" in seen.text


def test_the_report_begins_with_what_is_known_of_the_labels(scene, tmp_path):
    scene.history.label(scene.state(), np.array([4]), "dog")
    seen, _, _ = report(
        scene, tmp_path, verdict="Weak: look at each cluster.", facts={"silhouette": 0.0245781, "K": 13}
    )
    text = [part for part in seen.text if part.strip()]
    start = text.index("Weak: look at each cluster.")
    assert text[start + 1] == (
        "8 images: 1 labelled by you, 4 by the name of their cluster, not looked at one by one, 3 without a label."
    )
    assert text[start + 2] == "No audit covers any of these labels."
    assert start < text.index("Images")
    assert text[text.index("silhouette") + 1] == "0.0246"
    assert text[text.index("K") + 1] == "13"


def test_the_audited_share_is_said(scene, tmp_path):
    scene.history.audit(scene.state(), 0, shown=np.arange(4), wrong=[3])
    seen, _, _ = report(scene, tmp_path)
    told = "An audit covers 3 of 3 labels (100%): at least 100% of these are right, with the confidence of the audit."
    assert told in seen.text


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0245781, "0.0246"),
        (12.3456, "12.3"),
        (0.5, "0.5"),
        (99.96, "100"),
        (13, "13"),
        (123456.7, "123,457"),
        (True, "True"),
        ("kmeans", "kmeans"),
        (float("nan"), "unknown"),
        (-0.000123456, "-0.000123"),
    ],
)
def test_numbers_have_three_digits(value, shown):
    assert three_digits(value) == shown


def test_the_map_is_inside_with_the_names_of_the_largest_clusters(scene, tmp_path):
    scene.history.rename(scene.state(), 1, "</b><script>x</script>")
    xy = np.stack([np.arange(8), scene.clusters * 5], axis=1).astype(np.float32)
    path = tmp_path / "report.html"
    write_report(path, scene.state(), title="t", paths=scene.images.paths, thumbnail=lambda content: None, xy=xy)
    text = path.read_text(encoding="utf-8")
    seen = Seen()
    seen.feed(text)
    (picture,) = seen.images
    data = base64.b64decode(picture["src"].removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGBA" and image.getextrema()[3] == (0, 225)
    assert "script" not in seen.tags and seen.text.count("</b><script>x</script>") == 2


def test_labels_by_each_source_are_drawn_in_their_shares(scene, tmp_path):
    scene.history.label(scene.state(), np.array([4]), "dog")
    _, text, _ = report(scene, tmp_path)
    assert '<span class="by-by-you" style="flex:1"></span><span class="by-cluster-name" style="flex:4"></span>' in text
    assert "prefers-color-scheme: dark" in text and "@media print" in text
