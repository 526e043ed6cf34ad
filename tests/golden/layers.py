"""Writes layers/<word>.safetensors: what PyTorch computes of the networks in layers/<word>.py, for tests/layers/twins.rs.

Needs PyTorch (written with 2.15) and safetensors; runs on the CPU. `python tests/golden/layers.py [WORD …]`: of all words,
or of some. The networks are written by that test from what each layer says of itself: a new layer needs no line here.
"""

import pathlib
import runpy
import sys

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent / "layers"
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


for path in sorted(HERE.glob("*.py")):
    if sys.argv[1:] and path.stem not in sys.argv[1:]:
        continue
    out = {}
    for number, make in enumerate(runpy.run_path(str(path))["NETWORKS"]):
        network = make().train()
        height, width, channels = network.input
        with torch.no_grad():
            for name, tensor in network.named_parameters():
                centre, size = float(name.endswith("weight")), 0.1
                if tensor.dim() > 1:
                    centre, size = 0, 2 / (tensor[0].numel() ** 0.5)
                tensor.copy_(rounded(centre + size * numbers(tensor.shape, name)))
        images = rounded(numbers((ROWS, channels, height, width), "images"))
        embeddings = network(images)
        embeddings.backward(rounded(numbers(embeddings.shape, "gradient")))
        found = {"training": embeddings}
        found |= {f"gradient.{name}": tensor.grad for name, tensor in network.named_parameters()}
        found |= {f"state.{name}": tensor for name, tensor in network.named_buffers() if tensor.is_floating_point()}
        found["inference"] = network.eval()(images)
        out |= {f"{number}.{name}": value for name, value in single(found).items()}
    save_file(out, HERE / f"{path.stem}.safetensors")
    print(path.stem, len(out))
