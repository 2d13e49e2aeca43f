"""Starts, monitors and stops the processes of the stages."""
