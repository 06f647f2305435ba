"""Training: the generator (train.py) and the distilled networks; needs the `train` extra."""
