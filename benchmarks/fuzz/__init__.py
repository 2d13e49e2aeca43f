"""Coverage-guided fuzzing of what comes from outside: messages, configuration, files, HTTP."""
