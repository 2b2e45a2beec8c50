"""The library under the course: what the lab notebooks import.

Each folder is one subject (``text``, ``nn``, ``arithmetic``, ...). Importing ``finqa_lab`` itself is cheap:
it pulls in neither torch nor matplotlib; the folder that needs them imports them.
"""

__version__ = "0.1.0"
