"""Photos become a data set that is fit for training."""
