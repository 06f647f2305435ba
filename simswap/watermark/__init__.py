"""The watermark in a swapped face's pixels."""
