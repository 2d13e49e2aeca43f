"""Recognition in a program's own process, without the bus."""
