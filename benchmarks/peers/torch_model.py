"""The network and the step of the peers that use PyTorch."""

import torch
from torch import nn

from benchmarks.peers.job import Float32, Job, PeerByEpoch, Samples, glorot_uniform, shapes


def network(job: Job) -> nn.Sequential:
    """With Keras's initial distribution, so that all peers train the same."""
    layers: list[nn.Module] = []
    for (inputs, units), weights in zip(shapes(job), glorot_uniform(job), strict=True):
        layer = nn.Linear(inputs, units)
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(weights.T.copy()))
            layer.bias.zero_()
        layers += [layer, nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *layers[:-1])


class TorchPeer(PeerByEpoch):
    """Holds samples as tensors, the network and its optimizer."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        torch.manual_seed(job.seed)
        self.images, self.labels = torch.from_numpy(train.images), torch.from_numpy(train.labels)
        self.model = network(job)
        self.optimizer = torch.optim.SGD(self.model.parameters(), job.learning_rate)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> None:
        """One update."""
        self.optimizer.zero_grad()
        loss = (self.model(images) - labels).square().sum(dim=1).mean()
        loss.backward()
        self.optimizer.step()

    def outputs(self, images: Float32) -> Float32:
        """Outputs in one batch."""
        with torch.no_grad():
            return self.model(torch.from_numpy(images)).numpy()
