"""The gallery: a grid of any number of thumbnails of which the browser holds only those in view.

In flow image ids in display order; out comes a `GallerySelection` with a mask over those ids and the keys and buttons
the person used. Thumbnails come from ``/thumb/{id}``, larger pictures from ``/image/{id}`` of the same origin.
"""

from __future__ import annotations

from components.actions import DEFAULT_KEYS, Action
from components.gallery.face import (
    DEFAULT_BUTTONS,
    clear_gallery,
    gallery,
    gallery_order,
    gallery_viewing,
    select_in_gallery,
)
from components.gallery.selection import GallerySelection

GalleryEvent = Action

__all__ = [
    "DEFAULT_BUTTONS",
    "DEFAULT_KEYS",
    "Action",
    "GalleryEvent",
    "GallerySelection",
    "clear_gallery",
    "gallery",
    "gallery_order",
    "gallery_viewing",
    "select_in_gallery",
]
