"""A pipeline on two hosts: the cost of the link, its faults, and encryption."""
