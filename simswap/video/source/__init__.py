"""A video as it comes: looked at, bounded, decoded."""
