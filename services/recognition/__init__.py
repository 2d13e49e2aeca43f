"""In-process recognition, without the bus."""
