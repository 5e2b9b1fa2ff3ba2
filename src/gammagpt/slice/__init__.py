"""One slice of a GPU: checks, measurements and a grid of runs, ordered by value, in minutes.

    python -m gammagpt gpu --budget 10m --out FOLDER

grid.py says which runs, check.py and measure.py what is looked at first, job.py what happens when,
outcomes.py what came out beside what was predicted.
"""
