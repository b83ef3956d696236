"""Four common statements that are wrong, each measured."""
