"""Coverage-guided fuzzing of external input: messages, configuration, files, HTTP."""
