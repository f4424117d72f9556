"""The workbench: list of clusters, map, gallery and inspector in one component of the window's height.

They share one selection, one keyboard and one queue of actions. `face.py` is its Python side, `protocol.py` declares
the messages of both sides, `src/` is the browser's side; gallery and map are those of the folders beside this one.
"""
