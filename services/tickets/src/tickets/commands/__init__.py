"""Everything that the tickets service can do: one file for each noun, one function per action."""
