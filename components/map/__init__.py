"""The map: a WebGL scatter of any number of images with lasso, box, hover thumbnails and a counting legend.

In flow coordinates, colours and a highlight, each sent once per version; out comes a `MapEvent` with the drawn regions
in data coordinates, which Python turns into a mask. Where the browser has no WebGL, a plotly chart stands in.
"""
