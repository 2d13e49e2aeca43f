"""What each step of a frame's way costs, in one process, next to what the machine can do at all."""
