"""Rules of the code base that no linter knows, each with its reason and a proof that it can fail."""
