"""Small sets that train almost as well: matching methods, baselines, honest evaluation."""
