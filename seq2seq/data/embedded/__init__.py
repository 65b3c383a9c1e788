"""Data that needs no download: sentences from the Unicode CLDR, docstrings of the installed packages."""
