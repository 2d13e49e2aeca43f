"""How good a model is: on labelled faces, on worse ones, and on faces in scenes."""
