"""What sharing weights saves: parameters, multiply-adds and training pictures."""
