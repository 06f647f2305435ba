"""What a video becomes: encoded, joined, with the sound of its source."""
