"""What the command line can ask for: a command a file, each reads like its paragraph in the README."""
