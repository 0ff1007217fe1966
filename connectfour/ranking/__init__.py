"""Who is stronger."""
