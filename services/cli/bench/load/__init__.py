"""`emostream bench load`: how many streams the pipeline can handle, and its overload behavior."""
