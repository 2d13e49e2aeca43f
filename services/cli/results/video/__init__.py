"""The annotated video of an analysis, with the sound of its source."""
