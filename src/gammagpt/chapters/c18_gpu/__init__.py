"""Chapter 18, the scale of one GPU: a slice of checks, measurements and runs, in minutes.

    python -m gammagpt gpu --budget 10m --out FOLDER

grid.py says which runs, checks.py and speed.py what is looked at first, job.py what happens when,
numbers.py what came out beside what was predicted.
"""
