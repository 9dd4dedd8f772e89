"""
Steps over the parts of a dataset: each in bounded memory, in any order and any process, with the answer of one run.

A plan cuts the work into tasks and is written once; a task writes one file; a file that is there is done.
"""
