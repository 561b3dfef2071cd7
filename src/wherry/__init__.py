"""wherry: a container engine in Python (see ARCHITECTURE.md).

Nothing is imported here: ``wherry ps`` pays for every module that this file would pull in.
"""

__version__ = "0.1.0"
