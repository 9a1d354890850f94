"""How much less dose, dwell time or how many fewer pixels a restored image needs for the same quality."""
