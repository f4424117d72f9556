"""The command palette: Ctrl+K goes to a page, a cluster, a label or an image by its name, or runs an action."""
