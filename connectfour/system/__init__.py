"""What the machine and its libraries offer: signals, atomic files, cores and memory, progress output."""
