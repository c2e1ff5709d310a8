"""Everything that is written to and read from an output folder, and where each file lies."""
