"""`python -m fraud_ml`: the command line, run from the code of the current folder."""

from fraud_ml.cli import run

if __name__ == "__main__":
    run()
