"""Turn a finished run on CIFAR-10 into the half-precision file that the package ships.

python tools/ship_network.py RUN paddle_resnet/weights/cifar10/resnet56.safetensors

Weights of convolutions and of the head are stored in float16, norms, biases and running statistics
in float32. Both are measured on the test images, and the file is written only where their
accuracies differ by at most a tenth of a point. Then it needs its row in the README beside it.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from paddle_resnet.errors import UserError

#: Accuracies may differ by that much.
TOLERANCE = 0.001


def ship(run: str, target: Path, data: "str | None" = None, images: int = 10000) -> str:
    """Write the file and return the row for the README.

    Args:
        run: a run folder, or its weights file.
        target: the file to be made; its name is the network's.
        data: where CIFAR-10 is. Default: where it is found.
        images: of the test set, on which both are measured.

    Raises:
        UserError: another network than the file's name says, or an accuracy that has changed.
    """
    from paddle_resnet.models.find_weights import find_weights_file
    from paddle_resnet.models.trained_model import load_trained
    from paddle_resnet.studies.context import Context
    from paddle_resnet.studies.shared.short_training import loss_and_accuracy
    from paddle_resnet.studies.studied_network import images_for, trained_network
    from paddle_resnet.weights import save_weights
    from paddle_resnet.weights.save_load import read_weights

    context = Context("ship_network", {}, [0], model=run, data=data)
    trained = trained_network(context, "")
    if target.name != f"{trained.model}.safetensors":
        raise UserError(f"'{target}' is to be called {trained.model}.safetensors, as its network.")
    _, metadata = read_weights(find_weights_file(run))
    test = images_for(context, trained, "test", images, 0)
    _, before = loss_and_accuracy(trained.network, test)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        made = Path(folder) / target.name
        save_weights(trained.network, made, metadata, "safetensors-float16")
        _, after = loss_and_accuracy(load_trained(made).network, test)
        if abs(after - before) > TOLERANCE:
            raise UserError(
                f"in half precision the accuracy is {after:.2%} and was {before:.2%}, expected a "
                f"difference of at most {TOLERANCE:.1%}: nothing is written."
            )
        os.replace(made, target)
    parameters = sum(p.size for p in trained.network.parameters() if not p.stop_gradient)
    return (
        f"| `{target.name}` | `{trained.model}`, {int(parameters):,} parameters | {before:.2%} | "
        f"{after:.2%} | {len(test.labels):,} | {target.stat().st_size:,} |"
    )


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("run", metavar="RUN")
    made.add_argument("target", metavar="FILE", type=Path)
    made.add_argument("--data", metavar="PATH", help="where CIFAR-10 is, or sample")
    return made


def main() -> int:
    """Read the command line, and print the row or the error's sentence."""
    arguments = parser().parse_args()
    try:
        row = ship(arguments.run, arguments.target, arguments.data)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("| file | network | test accuracy | in half precision | test images | bytes |")
    print(row)
    return 0


if __name__ == "__main__":
    sys.exit(main())
