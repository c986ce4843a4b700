"""What `pio run -t upload` does on an emulated board: starts the firmware, runs the model once and tells its cost."""

import argparse
import sys


def main():
    """Exits 1 with the reason where the firmware does not answer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("elf")
    parser.add_argument("--board", required=True)
    parser.add_argument("--emulator", default="builtin", help="builtin or qemu")
    arguments = parser.parse_args()
    try:
        from pathlib import Path

        from tinyml_sdk import TinymlError, load_board
        from tinyml_sdk.link import Client
        from tinyml_sdk.targets import open_target
    except ImportError as error:
        sys.exit(f'{error}\nrunning needs tinyml-sdk beside PlatformIO: pip install "tinyml-sdk[emulator]"')
    try:
        with open_target(arguments.emulator, load_board(arguments.board)) as target:
            target.load(Path(arguments.elf))
            client = Client(target.open())
            info = client.info()
            count = target.count(client.invoke(1)[0], info)
            print(f"{info.model_name} runs on {info.board}: {count:,} {target.counts} for one inference")
    except TinymlError as error:
        sys.exit(f"{error}\nhint: {error.hint}")


if __name__ == "__main__":
    main()
