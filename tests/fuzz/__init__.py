"""Files that are damaged in any way, or made to do harm: each ends with a result or with one sentence."""
