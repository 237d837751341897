"""What loopbench costs in time and memory, beside what others do."""
