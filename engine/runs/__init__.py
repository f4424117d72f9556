"""From rows to a run: images with vectors in one order, a method fitted on them, and the folder that keeps it.

A run folder is what a colleague can open, check and continue; figures and the analysis are recomputed from it.
In flow a data set, a configuration and a method's settings; out comes a `Run`.
"""
