"""Parts to a face, and face and legs to a body: a detector in stages, moved about."""
