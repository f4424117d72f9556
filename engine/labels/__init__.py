"""What a person says about images: a history of events on content ids, replayed over any clustering.

Names, merges, splits, moves and audits are events; undo is one too, and nothing is ever overwritten.
In flow a run's labels and the events; out comes a `LabelState`: cluster, label and status of every image.
"""
