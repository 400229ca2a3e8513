"""What `compiled.py` times. A file for each group of workloads; `case.py` says what one is."""
