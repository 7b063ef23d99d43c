"""The sub-commands of `paddle-resnet`: each module has `add_parser(subparsers)`."""
