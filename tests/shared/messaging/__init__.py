"""Tests of the messaging runtime on the real broker and database."""
