"""A simulated person labels a set of known truth by the functions that the Label page calls; clicks are counted."""
