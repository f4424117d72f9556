"""How many clusters: the curves over K and what they say together."""
