"""What a caller asks of runs beside training: evaluate, compare, diagnose, verify."""
