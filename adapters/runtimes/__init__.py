"""How backends are started: one module per runtime, all behind :mod:`adapters.runtimes.runtime`."""
