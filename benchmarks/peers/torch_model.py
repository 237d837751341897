"""The networks and the step of the peers that use PyTorch."""

import torch
from torch import nn

from benchmarks.peers.job import (
    CLASSES,
    DROPOUT,
    FILTERS,
    OUTPUT_BATCH,
    Float32,
    Job,
    PeerByEpoch,
    Samples,
    glorot_uniform,
    shapes,
)


def _mlp(job: Job) -> nn.Sequential:
    layers: list[nn.Module] = []
    for (inputs, units), weights in zip(shapes(job), glorot_uniform(job), strict=True):
        layer = nn.Linear(inputs, units)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights.T.copy()))
            layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


def _cnn(_: Job) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Unflatten(1, (1, 28))]
    for inputs, filters in zip((1, *FILTERS[:-1]), FILTERS, strict=True):
        # Keras's epsilon, and its momentum, which PyTorch counts from the other end.
        normalization = nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)
        layers += [nn.Conv2d(inputs, filters, 3, padding=1), normalization, nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(DROPOUT), nn.Linear(FILTERS[-1], CLASSES)]
    for layer in layers:
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


# With Keras's initial distribution, so that all peers train the same.
NETWORKS = {"mlp": _mlp, "cnn": _cnn}
DEVICES = {"cpu": "cpu", "gpu": "cuda"}


class TorchPeer(PeerByEpoch):
    """Holds samples as tensors, the network and its optimizer."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        torch.manual_seed(job.seed)
        self.device = torch.device(DEVICES[job.device])
        # As for matrix products, and as in the service.
        torch.backends.cudnn.allow_tf32 = False
        self.images, self.labels = (torch.from_numpy(each).to(self.device) for each in (train.images, train.labels))
        self.model = NETWORKS[job.network](job).to(self.device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), job.learning_rate)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """One update."""
        self.optimizer.zero_grad()
        loss = (self.model(images) - labels).square().sum(dim=1).mean()
        loss.backward()
        self.optimizer.step()

    def wait(self) -> None:
        """Return when the device has no work left."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def outputs(self, images: Float32) -> Float32:
        """Outputs, without dropout and with the moving statistics."""
        self.model.eval()
        with torch.no_grad():
            parts = torch.from_numpy(images).to(self.device).split(OUTPUT_BATCH)
            return torch.cat([self.model(part) for part in parts]).cpu().numpy()
