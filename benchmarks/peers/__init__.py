"""The article's job as others do it: a module each, run in an environment of their own, without loopbench."""
