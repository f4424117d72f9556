"""The gallery: a grid of any number of thumbnails of which the browser holds only those in view.

In flow image ids in display order; out comes a `GallerySelection` with a mask over those ids and the keys and buttons
the person used. Thumbnails come from ``/thumb/{id}``, larger pictures from ``/image/{id}`` of the same origin.
"""

from __future__ import annotations

from components.gallery.face import clear_gallery, gallery, gallery_order, select_in_gallery
from components.gallery.selection import GalleryEvent, GallerySelection

__all__ = ["GalleryEvent", "GallerySelection", "clear_gallery", "gallery", "gallery_order", "select_in_gallery"]
