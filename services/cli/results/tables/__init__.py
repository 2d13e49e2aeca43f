"""Tables of results: CSV and Parquet files, and their columns."""
