"""Games for people: played at a prompt, drawn as pictures and films."""
