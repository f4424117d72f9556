"""What the screens share: the current choice, the frame around every page, controls drawn from settings."""
