"""`python -m benchmarks.chaos`: the demo pipeline while its processes are killed and stopped."""
