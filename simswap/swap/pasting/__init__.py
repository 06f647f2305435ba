"""Fits a swapped crop into its frame: what is kept of it, its light and colours, its detail."""
