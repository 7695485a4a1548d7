"""Tests of the rules of inventory: no database, no broker."""
