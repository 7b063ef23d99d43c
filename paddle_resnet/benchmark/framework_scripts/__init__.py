"""The sides of `benchmark train` and `benchmark infer`: scripts, each run in its own process.

They are run by path, not as parts of the package: only `ours.py` may import it, since that
changes the runtime that Paddle gets.
"""
