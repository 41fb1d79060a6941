"""Studies behind choices that were made: how well something does, and never how fast."""
