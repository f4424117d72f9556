"""How good a clustering is: scores without truth, agreement with truth, consensus of several clusterings.

Everything here is a function of arrays; nothing reads a file.
In flow embeddings and label columns where -1 is noise; out come numbers and small tables.
"""
