"""The service's own tables, in the PostgreSQL schema `tickets`: one file for each noun, one metadata."""
