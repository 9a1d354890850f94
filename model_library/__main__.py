"""`python -m model_library`: the command `synoptic`, for services that name their interpreter."""

from model_library.cli import main

main()
