"""Load models by name: from libraries, from files and from factories in Python files."""
