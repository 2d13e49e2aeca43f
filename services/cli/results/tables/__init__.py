"""Tables of results: CSV and Parquet files, and what their columns hold."""
