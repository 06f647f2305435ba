"""Sources and targets: aligned, varied, paired, handed to the loop."""
