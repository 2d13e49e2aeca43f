"""The built-in demo: drawn people whose every box and emotion is known."""
