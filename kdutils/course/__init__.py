"""What a notebook needs around its experiment: a session, predictions, checks, recorded numbers."""
