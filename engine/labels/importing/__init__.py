"""Labels on their way in: files of other tools and Kindred's own exports, matched to the images of a data set.

`read_labels` turns a file or folder into a `LabelFile`, `match` finds the images that its lines are about, and
`plan_import` says what would change. In flow a path and a label state; out come one event and a report.
"""
