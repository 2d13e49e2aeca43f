"""The report of an analysis: one HTML page."""
