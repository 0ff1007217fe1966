"""What the machine and its libraries offer: Ray sessions, signals, atomic files, cores and memory, progress output."""
