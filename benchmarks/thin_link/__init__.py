"""The age of results if the link between the stages is slow."""
