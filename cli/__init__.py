"""Shared by all command-line scripts: the entry point and the console."""
