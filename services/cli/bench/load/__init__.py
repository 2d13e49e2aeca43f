"""`emostream bench load`: how many streams the pipeline carries, and what it does beyond that."""
