"""A game for people: played at a prompt, drawn as a picture or film."""
