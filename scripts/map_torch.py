"""Prints the map from our names of tensors to those of a PyTorch network, for `siamese import --map`.

    python scripts/map_torch.py "torchvision.models.resnet18()" 1x3x64x64 > data/maps/resnet18.map

Layers have numbers by kind in the order in which they run, as those of a spec have that has its branches in this order.
What does not run is left out.
"""

import importlib
import sys

import torch
from torch import nn

KINDS = {nn.Linear: "dense", nn.BatchNorm1d: "bn", nn.BatchNorm2d: "bn", nn.GroupNorm: "gn", nn.LayerNorm: "ln", nn.PReLU: "prelu"}


def kind(module):
    """What a layer is called here; None if it is none."""
    if isinstance(module, nn.Conv2d):
        alone = module.groups == module.in_channels == module.out_channels > 1
        return "depth" if alone and module.kernel_size[0] == module.kernel_size[1] else "conv"
    return KINDS.get(type(module))


def order(network, shape):
    """Names of the layers in the order in which they run."""
    ran = []

    def note(name):
        return lambda *_: ran.append(name) if name not in ran else None

    for name, module in network.named_modules():
        if kind(module):
            module.register_forward_pre_hook(note(name))
    with torch.no_grad():
        network.eval()(torch.zeros(shape))
    return ran


def lines(network, shape):
    """The lines of the map."""
    modules, numbers, ours = dict(network.named_modules()), {}, {}
    for name in order(network, shape):
        own = kind(modules[name])
        numbers[own] = numbers.get(own, 0) + 1
        ours[name] = f"{own}{numbers[own]}"
    tensors = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    place = {name: number for number, name in enumerate(ours)}
    for tensor in sorted(tensors, key=lambda tensor: place.get(tensor.rpartition(".")[0], len(place))):
        layer, _, own = tensor.rpartition(".")
        yield f"{ours[layer]}.{own} = {tensor}" if layer in ours else f"- = {tensor}"


def main():
    """Makes the network that the command line names."""
    expression, shape = sys.argv[1], [int(size) for size in sys.argv[2].split("x")]
    package = expression.partition("(")[0].rpartition(".")[0]
    importlib.import_module(package)
    top = package.partition(".")[0]
    network = eval(expression, {top: sys.modules[top]})  # the user's own expression
    print(f"# {expression}, by scripts/map_torch.py")
    print("\n".join(lines(network, shape)))


if __name__ == "__main__":
    main()
