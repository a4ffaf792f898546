"""Plan, run, evaluate, report, check: the command line and what stands behind it."""
