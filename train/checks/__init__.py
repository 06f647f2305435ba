"""Commands that measure one part each."""
