"""The workspace repository: its clone, its files and their schemas, intents, plans, and the one way to write."""
