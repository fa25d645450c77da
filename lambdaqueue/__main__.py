"""`python -m lambdaqueue`: the command, also where no script was installed."""

from __future__ import annotations

import sys

from lambdaqueue.cli import main

if __name__ == "__main__":
    sys.exit(main())
