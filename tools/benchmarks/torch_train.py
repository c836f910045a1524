"""The peer for training: the demo's network in PyTorch, eager mode, batches already in memory. Speaks common.h's protocol.

Case "train" keeps tensors contiguous, "train_channels_last" in PyTorch's other memory format."""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

N_BATCHES = 16


def network():
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, 10))


def trainer(channels_last, batch):
    torch.manual_seed(1)
    memory = torch.channels_last if channels_last else torch.contiguous_format
    net = network().to(memory_format=memory).train()
    opt = torch.optim.Adam(net.parameters(), lr=1e-3)
    xs = [torch.rand(batch, 1, 28, 28).contiguous(memory_format=memory) for _ in range(N_BATCHES)]
    ys = [torch.randint(0, 10, (batch,)) for _ in range(N_BATCHES)]

    def run(steps):
        for i in range(steps):
            opt.zero_grad(set_to_none=True)
            F.cross_entropy(net(xs[i % N_BATCHES]), ys[i % N_BATCHES]).backward()
            opt.step()
    return run


def main():
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else 2)
    runs = {}
    for line in sys.stdin:
        case, size, repeats = line.split()
        if case not in ("train", "train_channels_last"):
            print("none", flush=True)
            continue
        if (case, size) not in runs:
            runs[case, size] = trainer(case == "train_channels_last", int(size))
            runs[case, size](4)
        run = runs[case, size]
        run(1)
        start = time.perf_counter()
        run(int(repeats))
        print(f"{(time.perf_counter() - start) / int(repeats):.9f}", flush=True)


if sys.argv[1:] == ["--version"]:
    print(torch.__version__)
else:
    main()
