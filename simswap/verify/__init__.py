"""What can be told of a file: label, credentials and watermark."""
