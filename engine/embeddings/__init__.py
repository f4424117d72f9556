"""From images to vectors: the encoders, the pipeline that runs them, and the store that keeps what they made.

One folder of the cache holds the vectors of one configuration; what was embedded once is never embedded again.
In flow catalog rows and an encoder's settings; out come (n, d) float32 embeddings by content id.
"""
