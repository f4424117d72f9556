"""Keeping a workspace whole: what the doctor looks at, and the archive that holds a library.

The verbs of this room are in `engine.jobs.tasks.upkeep`.
"""
