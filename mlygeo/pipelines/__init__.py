"""
The public functions: the function behind each verb, one file for each area, and their shared parts.

A verb runs the body of its function: the body makes groups of its options, and joins readers, spatial steps and
the actions on files and the network. No module here has the name of a public function: its import would replace
the function in `mlygeo`.
"""
