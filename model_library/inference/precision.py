"""What arithmetic somebody allows; imports nothing that computes."""

from typing import Literal

PrecisionPolicy = Literal["auto", "float32"]
"""`float32` computes as the coordinator did when it judged; `auto` in bfloat16 too, where that is faster."""
