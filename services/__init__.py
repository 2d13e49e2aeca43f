"""The processes of the pipeline, one package each, the command line, and the library."""
