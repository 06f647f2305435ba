"""The swap itself: align, generate, blend, paste back."""
