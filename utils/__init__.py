"""The nouns: a package each, whose head says what it holds; and a few small modules below them."""
