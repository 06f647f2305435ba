"""One training step, and the run around it."""
