"""Small networks whose behaviour under translation is known."""
