"""The calls that wait and are at work, and their answers until they are fetched."""
