"""``python -m finqa_lab.cli``: the same command where the console script is not on the path."""

import sys

from finqa_lab.cli import main

sys.exit(main())
