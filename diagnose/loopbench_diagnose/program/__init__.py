"""One program alone: what its run shows, the configuration that it trains with, and checks by trial trainings."""
