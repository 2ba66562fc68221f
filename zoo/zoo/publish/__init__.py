"""Artifact folder to the Hub and back: a card made of facts, one commit, and a checked download."""
