"""Labels out of the house: CSV, Parquet, folders, other tools; one CSV writer for every CSV."""
