"""`python -m bolti`: the command line, where its script is not on PATH."""

from bolti._cli.main import main

if __name__ == "__main__":
    main()
