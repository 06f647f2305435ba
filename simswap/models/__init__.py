"""Networks: torch only, RGB [0, 1] in, each normalising inside itself."""
