"""The identity network and the detector, made from their teachers."""
