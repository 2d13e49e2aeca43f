"""A pipeline on two hosts: what the link, its faults and encryption cost."""
