"""The measurements of `python -m tools.bench`. Each function boots a board of its own and gives {figure: value}.

Everything is measured on the emulated board with the image as it is; nothing is computed from constants. Times are of
the board's clock.
"""
