"""Judges swapped videos, whoever swapped them, in the style of FaceForensics++ evaluations."""
