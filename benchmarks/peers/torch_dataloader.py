"""PyTorch as most people write it: a ``DataLoader`` over a ``TensorDataset``."""

import torch
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers.job import Job, Samples, main
from benchmarks.peers.torch_model import TorchPeer


class TorchDataLoader(TorchPeer):
    """The loader collates sample by sample, in the process itself."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        self.loader = DataLoader(TensorDataset(self.images, self.labels), batch_size=job.batch_size, shuffle=True)

    def epoch(self) -> None:
        """One step per batch of the loader."""
        for images, labels in self.loader:
            self.step(images, labels)


if __name__ == "__main__":
    main(TorchDataLoader, torch.set_num_threads)
