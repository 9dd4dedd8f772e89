"""`python -m mlygeo`."""

import sys

from mlygeo.cli import main

sys.exit(main())
