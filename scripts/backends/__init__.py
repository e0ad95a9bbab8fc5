"""Compares the image that two backends make of one recipe: see ../compare-backends.py."""
