"""What one cell of a layer can see."""
