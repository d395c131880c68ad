"""The generated corpus of mini: sentences, voices, rooms and channels. For local.prepare_mini."""
