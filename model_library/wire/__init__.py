"""Messages between coordinator and sites: frozen, strict, versioned, free of torch.

Units are part of a field's name. A message that carries an unknown field is refused, so that a
coordinator and a site of different versions notice each other instead of guessing.
"""
