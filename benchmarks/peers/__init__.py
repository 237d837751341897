"""The article's job with other libraries: one module each, in a separate environment without loopbench."""
