"""The report of an analysis: one page of HTML."""
