"""What page and endpoints have done for a visitor."""
