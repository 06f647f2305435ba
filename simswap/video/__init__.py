"""Videos: swapped in segments, written and joined."""
