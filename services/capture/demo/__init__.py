"""The built-in demo: drawn people with known boxes and emotions."""
