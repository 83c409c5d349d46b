"""The user's own code as files: what a folder of it defines, and functions and classes of a notebook written out.

Folders are read with ``ast`` and never imported.
"""
