"""Photos to train on, wherever they lie."""
