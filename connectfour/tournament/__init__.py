"""Who is ranked, who plays whom, when to stop, and playing it all through the log."""
