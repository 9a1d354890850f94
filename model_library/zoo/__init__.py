"""The networks that ship: cards, verified weights, and how they were made."""
