"""A service that has nothing but jobs, one of each kind, in a database of the runtime alone."""
