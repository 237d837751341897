"""PyTorch with a captured step: each batch replays one CUDA graph."""

import torch

from benchmarks.peers.job import Job, Samples, main
from benchmarks.peers.torch_model import TorchPeer

# Steps before the capture, in which PyTorch chooses its kernels.
WARM_UP = 3


class TorchGraph(TorchPeer):
    """The graph reads its batch from a tensor of indices, and changes the parameters in place."""

    def __init__(self, job: Job, train: Samples) -> None:
        super().__init__(job, train)
        self.rows = torch.arange(job.batch_size, device=self.device)
        initial = {name: value.clone() for name, value in self.model.state_dict().items()}
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.step(self.images[self.rows], self.labels[self.rows])
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.step(self.images[self.rows], self.labels[self.rows])
        self.model.load_state_dict(initial)

    def epoch(self) -> None:
        """One replay per full batch of one permutation, and a step for a smaller rest."""
        for index in torch.randperm(len(self.train)).to(self.device).split(self.job.batch_size):
            if len(index) == len(self.rows):
                self.rows.copy_(index)
                self.graph.replay()
            else:
                self.step(self.images[index], self.labels[index])
        self.wait()


if __name__ == "__main__":
    main(TorchGraph, torch.set_num_threads)
