"""HTTP in: one file for each noun, with the requests, the routes and the answers about it."""
