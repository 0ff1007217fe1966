"""The league's policies for the world outside."""
