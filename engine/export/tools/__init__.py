"""Images in folders as other tools read them: a module has `plan(table, splits, settings)`."""
