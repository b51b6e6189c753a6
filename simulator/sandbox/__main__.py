"""`python -m simulator.sandbox`: the sandbox as a child process."""

import sys

from simulator.sandbox.process import main

sys.exit(main())
