"""A model of many streams and classifiers, by measured service times, and a run to check it by."""
