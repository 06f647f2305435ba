"""The networks that learn, and those that teach."""
