"""The contract of loopbench: the models in :mod:`loopbench.spec`, their wire form in :mod:`loopbench.wire`."""
