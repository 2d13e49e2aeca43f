"""A simulation of many streams and classifiers, and a real run to check it."""
