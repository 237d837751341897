"""What gRPC writes to standard error, to be imported before gRPC, which asks for it then.

For every attempt at a connection it would write a line that the error then says once, in words.
"""

import os

os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
