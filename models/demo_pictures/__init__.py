"""Creates the pictures of the demo's people from the training faces."""
