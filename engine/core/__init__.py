"""The ground that every room stands on: settings, errors, files, ids, device, progress, the workspace and its catalog.

Also the few things that several rooms write or draw with: CSV, checks on vectors, the palette.
Nothing here knows what an image, a cluster or a label is, and nothing here imports another room.
"""
