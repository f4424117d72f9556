"""The gallery: a grid of any number of thumbnails of which the browser holds only those in view.

In flow image ids in display order; out comes a `GallerySelection` with a mask over those ids and the keys and buttons
the person used. Thumbnails come from ``/thumb/{id}``, larger pictures from ``/image/{id}`` of the same origin.
"""
