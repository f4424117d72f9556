"""Labels as one file each: a module has `write(path, table, settings, vectors, progress)`."""
