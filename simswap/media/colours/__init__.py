"""What the numbers of pixels stand for: colour profiles, high dynamic range."""
