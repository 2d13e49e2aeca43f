"""The cost of each step of a frame, in one process, with the machine's limits."""
