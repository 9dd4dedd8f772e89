"""
What a user can type: the public functions behind the verbs, an area a file, with the same names, options and defaults.

A function returns a frame, where its verb writes files; its body joins readers, steps and what acts for
both. `mlygeo` has them all by name. No module here has the name of a function: imported, it would take
the function's place.
"""
