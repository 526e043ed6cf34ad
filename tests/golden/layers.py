"""Writes layers/<word>.safetensors, networks/networks.safetensors and networks/frozen.safetensors: what PyTorch computes
of the networks in the files of these names with .py, for tests/layers/twins.rs.

Needs PyTorch (written with 2.15), torchvision and safetensors; runs on the CPU. `python tests/golden/layers.py
[WORD …]`: of all words, or of some; `networks`: of published networks, first held against torchvision's own; `frozen`:
of networks of which some tensors are not trained. The networks are written by that test from what each layer says of
itself: a new layer needs no line here.
"""

import pathlib
import runpy
import sys

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
ROWS = 6
torch.set_default_dtype(torch.float64)
torch.use_deterministic_algorithms(True)


def numbers(shape, name):
    """Numbers from -1 to 1 that the test makes alike, others for each name."""
    place = torch.arange(torch.Size(shape).numel())
    return (0.37 * (place * place).double() + sum(name.encode())).sin().reshape(shape)


def rounded(values):
    return values.float().double()


def single(tensors):
    return {name: value.detach().float().contiguous() for name, value in tensors.items()}


def fill(network):
    with torch.no_grad():
        for name, tensor in network.named_parameters():
            centre, size = float(name.endswith("weight")), 0.1
            if tensor.dim() > 1:
                centre, size = 0, 2 / (tensor[0].numel() ** 0.5)
            tensor.copy_(rounded(centre + size * numbers(tensor.shape, name)))


def hashed(bits):
    """Random bits of others, as `shaders/lib/hash.wgsl` makes them."""
    bits = (bits ^ (bits >> 16)) * 0x7FEB352D & 0xFFFFFFFF
    bits = (bits ^ (bits >> 15)) * 0x846CA68B & 0xFFFFFFFF
    return bits ^ (bits >> 16)


def dropout(name, module):
    """What `module` does, with the values left out that layer `name` of ours leaves out by the test's keys."""
    layer = 0xCBF29CE484222325
    for byte in name.encode():
        layer = (layer ^ byte) * 0x100000001B3 % 2**64
    keys = hashed(torch.arange(1, ROWS + 1) * 0x9E3779B9 % 2**32 ^ layer % 2**32)

    def forward(x):
        if not module.training:
            return x
        last = x.movedim(1, -1)
        bits = hashed(keys[:, None] ^ torch.arange(last[0].numel())).reshape(last.shape).movedim(-1, 1)
        return torch.where(bits >= int(module.p * 2**32), x / (1 - module.p), 0)

    return forward


def outputs(network, told):
    """What the test compares; of gradients what is told of them."""
    height, width, channels = network.input
    fill(network.train())
    frozen = getattr(network, "frozen", [])
    for name in frozen:
        network.get_parameter(name).requires_grad_(False)
    for name, module in network.named_modules():
        tensors = list(module.parameters(recurse=False))
        if tensors and not any(tensor.requires_grad for tensor in tensors):
            module.eval()
        if isinstance(module, torch.nn.Dropout):
            module.forward = dropout(name, module)
    images = rounded(numbers((ROWS, channels, height, width), "images"))
    embeddings = network(images)
    embeddings.backward(rounded(numbers(embeddings.shape, "gradient")))
    found = {"training": embeddings}
    found |= {f"gradient.{name}": told(name, tensor.grad) for name, tensor in network.named_parameters() if tensor.requires_grad}
    found |= {f"state.{name}": network.get_parameter(name) for name in frozen}
    found |= {f"state.{name}": tensor for name, tensor in network.named_buffers() if tensor.is_floating_point()}
    found["inference"] = network.eval()(images)
    return single(found)


def summary(name, gradient):
    """Length and direction: all that is kept of millions of values."""
    return torch.stack([gradient.norm(), (numbers(gradient.shape, f"{name}.along") * gradient).sum()])


def as_published(network):
    """That torchvision's own network, with the same weights in order of definition, has the same outputs."""
    import torchvision

    own = getattr(torchvision.models, type(network).__name__)(weights=None).train()
    for last in ("fc", "classifier"):
        if hasattr(own, last):
            setattr(own, last, torch.nn.Identity())
    fill(network.train())
    for theirs, ours in zip(own.parameters(), network.parameters(), strict=True):
        theirs.data.copy_(ours.data)
    height, width, channels = network.input
    images = rounded(numbers((ROWS, channels, height, width), "images"))
    for mode in (True, False):
        apart = (own.train(mode)(images) - network.train(mode)(images)).abs().max()
        assert apart < 1e-12, f"{type(network).__name__}: {apart} apart"


for path in sorted(HERE.glob("layers/*.py")) + sorted(HERE.glob("networks/*.py")):
    if sys.argv[1:] and path.stem not in sys.argv[1:]:
        continue
    out = {}
    for number, make in enumerate(runpy.run_path(str(path))["NETWORKS"]):
        if path.stem != "networks":
            out |= {f"{number}.{name}": value for name, value in outputs(make(), lambda _, gradient: gradient).items()}
            continue
        if make.__name__ != "inception_resnet_v1":
            as_published(make())
        out |= {f"{make.__name__}.{name}": value for name, value in outputs(make(), summary).items()}
    save_file(out, path.with_suffix(".safetensors"))
    print(path.stem, len(out))
