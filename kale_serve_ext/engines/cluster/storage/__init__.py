"""How the files of artifacts get to the pods, each way in a file of its own."""
