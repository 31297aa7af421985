"""Turns the states that ml-act's hooks were saved with into one safetensors file for `onnxsteer import`.

    python mlact_to_safetensors.py --method linear_ot --out state.safetensors FOLDER/*.statedict

Run it where ml-act runs: it needs torch and safetensors. Each input is one module's state, named after the module, as
`model.layers.3.mlp.down_proj.statedict`. Unpickling is limited to tensors and plain containers (weights_only).
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file

ENDINGS = (".statedict", ".statistics", ".pth", ".pt")
KEYS = {"linear_ot": ("w", "b"), "mean_ot": ("mu1", "mu2", "std1", "std2"), "gaussian_ot": ("mu1", "mu2", "std1", "std2"), "aura": ("auroc",)}


def flat(value):
    # A copy, since safetensors refuses tensors that share memory.
    return value.detach().cpu().reshape(-1).clone()


def tensors_of(site, state, method):
    # The affine network of linear_ot keeps its factors as net.w1, and its shifts in the same way.
    state = {{"net.w1": "w", "net.b1": "b"}.get(key, key): value for key, value in state.items()}
    for key in KEYS[method]:
        if key not in state:
            raise SystemExit(f"{site}: the state has no '{key}', which {method} has; it has {sorted(state)}")
        yield f"{site}/{key}", flat(state[key])
    for band, (low, high) in (state.get("quantiles_dict_src") or {}).items():
        yield f"{site}/{band}/lo", flat(low)
        yield f"{site}/{band}/hi", flat(high)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", required=True, choices=sorted(KEYS))
    parser.add_argument("--out", required=True)
    parser.add_argument("states", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    tensors = {}
    for path in options.states:
        state = torch.load(path, map_location="cpu", weights_only=True)
        # Other dots are part of the module's name.
        site = path.stem if path.suffix in ENDINGS else path.name
        tensors.update(tensors_of(site, state, options.method))
    save_file(tensors, options.out, metadata={"format": "ml-act", "method": options.method})


if __name__ == "__main__":
    main()
