"""Methods that train a network, and what they share: trainer, checkpoints, data, warm start, presets.

A method is a folder: `estimator` holds its settings and estimator and imports no torch; network and task lie beside it.
"""
