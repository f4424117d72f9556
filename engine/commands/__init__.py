"""The command line: `python -m engine COMMAND`, each command a module that parses, calls a verb and prints.

`registry` is the table of commands; `console` prints; `data`, `method`, `sample` and `requests` declare the flags that
several share. What is done, and on which rows, is decided in engine/jobs/tasks.
"""
