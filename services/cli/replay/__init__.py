"""`emostream replay`: a recorded session on the bus again."""
