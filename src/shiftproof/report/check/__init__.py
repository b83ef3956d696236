"""A verdict as a web page."""
