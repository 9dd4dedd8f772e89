"""
What a user can type: the function behind each verb, a file for each area, and what the files share.

The body of a function is all that its verb does, too: it makes groups of its options, and joins readers, spatial
steps and what acts on files and the network. No module here has the name of a public function: imported,
`mlygeo` would have the module in the function's place.
"""
