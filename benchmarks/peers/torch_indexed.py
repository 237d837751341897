"""PyTorch without a loader: batches are taken from the tensors by index."""

import torch

from benchmarks.peers.job import main
from benchmarks.peers.torch_model import TorchPeer


class TorchIndexed(TorchPeer):
    """One permutation per epoch."""

    def epoch(self) -> None:
        """One step per batch of the permutation."""
        for index in torch.randperm(len(self.train)).to(self.device).split(self.job.batch_size):
            self.step(self.images[index], self.labels[index])
        self.wait()


if __name__ == "__main__":
    main(TorchIndexed, torch.set_num_threads)
