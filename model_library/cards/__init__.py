"""Model cards: what a network is for, what it was trained on, how it scores, where it ends."""
