"""Hyper-parameter search for every clustering method: the space, one trial, and the study around them."""
