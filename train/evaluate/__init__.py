"""How good a model's swaps are, by judges that no loss has seen."""
