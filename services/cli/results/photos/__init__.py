"""The results of photos: a table, annotated copies and a page."""
