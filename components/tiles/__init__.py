"""Tiles: a grid of pictures with a name and a few words below each; a click or Enter chooses one."""
