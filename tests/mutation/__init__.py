"""Changes of the arithmetic that the tests must notice."""
