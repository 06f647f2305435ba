"""Frames out of a file's packets, in a process of its own that ends when one takes too much."""
