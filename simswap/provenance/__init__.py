"""What a file says about how it was made: metadata label and Content Credentials."""
