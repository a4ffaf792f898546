"""A listener for experiments that nobody watches."""

from harness.executor import Listener


class Silent(Listener):
    def resumed(self, records):
        pass

    def started(self, key):
        pass

    def progressed(self, key, progress):
        pass

    def ended(self, record):
        pass
