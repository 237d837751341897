"""Results that other tools report of themselves, with their sources."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Peer:
    """A tool: the question that it answers, what its authors report, and the paper."""

    name: str
    question: str
    result: str
    paper: str
    venue: str
    address: str


@dataclass(frozen=True)
class Measured:
    """What the authors of DeepFD measured of a tool on the 52 programs of their benchmark."""

    name: str
    detected: int
    diagnosed: int


# Section 5 of DeepFD's paper, and the table Evaluation.xlsx of its repository.
ON_DEEPFD = (
    Measured("DeepFD", 47, 27),
    Measured("UMLAUT", 50, 14),
    Measured("AutoTrainer", 12, 10),
    Measured("DeepLocalize", 36, 7),
)

PEERS: tuple[Peer, ...] = (
    Peer(
        "DeepFD",
        "Which of five kinds of faults does one program have? A classifier learned from mutated programs.",
        "47 of 52 faulty programs detected, 27 diagnosed",
        "DeepFD: Automated Fault Diagnosis and Localization for Deep Learning Programs",
        "ICSE 2022",
        "https://arxiv.org/abs/2205.01938",
    ),
    Peer(
        "DEFault",
        "Which kind of fault does one program have? Classifiers learned from 14,500 programs.",
        "about 94 % of 52 faulty programs detected, about 63 % of root causes diagnosed",
        "Improved Detection and Diagnosis of Faults in Deep Neural Networks Using Hierarchical and Explainable "
        "Classification",
        "ICSE 2025",
        "https://arxiv.org/abs/2501.12560",
    ),
    Peer(
        "TrainCheck",
        "Does a training violate an invariant that was inferred from correct programs?",
        "18 of 20 silent errors detected within one iteration",
        "Training with Confidence: Catching Silent Errors in Deep Learning Training with Automated Proactive Checks",
        "OSDI 2025",
        "https://www.usenix.org/conference/osdi25/presentation/jiang",
    ),
    Peer(
        "DeepLocalize",
        "In which layer of one program does a numerical error arise?",
        "34 of 40 faults detected, 21 localized",
        "DeepLocalize: Fault Localization for Deep Neural Networks",
        "ICSE 2021",
        "https://arxiv.org/abs/2103.03376",
    ),
    Peer(
        "UMLAUT",
        "Does one program break a rule of thumb of experts?",
        "in a study, 15 participants found and fixed significantly more bugs with it",
        "UMLAUT: Debugging Deep Learning Programs using Program Structure and Model Behavior",
        "CHI 2021",
        "https://doi.org/10.1145/3411764.3445538",
    ),
    Peer(
        "AutoTrainer",
        "Does one training show one of eight symptoms, such as vanishing gradients, and which change removes it?",
        "all problems of 701 models detected without false positives, 98 % of them repaired",
        "An Automated Monitoring and Repairing System for DNN Training",
        "IEEE TDSC 2024",
        "https://doi.org/10.1109/tdsc.2024.3450951",
    ),
)
