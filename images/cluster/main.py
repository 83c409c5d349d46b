"""Starts the image's program, which the wheel brings."""

from kale_serve_ext.runner.container import main

if __name__ == "__main__":
    main()
