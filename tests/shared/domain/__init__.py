"""Tests of the rules that several services share; they need no server."""
