"""How old results are where the link between the stages is thin."""
