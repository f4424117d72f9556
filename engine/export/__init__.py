"""Labels on their way out: tables, image folders and the formats of other tools, listed in one registry.

An export reads the label state and the images and writes into a new folder; originals are only read.
In flow a run with its label state; out come files and a report of what was written.
"""
