"""Everything that sla can do: one file for each noun, one function per action."""
