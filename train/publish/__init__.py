"""A run's bundle: written, described, pushed."""
