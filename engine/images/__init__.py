"""Where images come from and what they are: sources, scan, decoding, thumbnails, measured quality, samples.

A data set is a folder, a benchmark set or a file of vectors, kept in the catalog and known by its content.
In flow paths; out come rows of the catalog, pixels and thumbnails.
"""
