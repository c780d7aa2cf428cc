"""A plain distillation loop, as the usual code bases have it: what ours is measured against."""

from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from PIL import Image, ImageOps
from torch import nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import transforms

from kdutils.datasets import Dataset
from kdutils.datasets.augment import outcome
from kdutils.training import Pictures

TEMPERATURE, ALPHA, BATCH = 4.0, 0.9, 64


class PlainImages(TorchDataset):
    """One PIL image at a time, as torchvision's CIFAR class gives it. `order` fixes which image comes in which view."""

    def __init__(self, data: Dataset, transform: Callable, order: list[tuple[int, int]] | None = None):
        self.pixels, self.labels = data.images.permute(0, 2, 3, 1).cpu().numpy(), data.labels.tolist()
        self.transform, self.order = transform, order

    def __len__(self) -> int:
        return len(self.labels if self.order is None else self.order)

    def __getitem__(self, place: int):
        index, view = (place, None) if self.order is None else self.order[place]
        image = Image.fromarray(self.pixels[index])
        return self.transform(image if view is None else in_view(image, view)), self.labels[index]


def in_view(image: Image.Image, view: int) -> Image.Image:
    """A view made by PIL: border, crop, mirror."""
    flip, top, left = (part.item() for part in outcome(torch.tensor(view), 4))
    cut = ImageOps.expand(image, 4).crop((left, top, left + 32, top + 32))
    return ImageOps.mirror(cut) if flip else cut


def plain_loader(data: Dataset, pictures: Pictures, workers: int, order: list | None = None) -> DataLoader:
    normalised = [transforms.ToTensor(), transforms.Normalize(pictures.normalisation.mean, pictures.normalisation.std)]
    random = [] if order else [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
    return DataLoader(PlainImages(data, transforms.Compose(random + normalised), order), BATCH, shuffle=order is None,
                      num_workers=workers, pin_memory=pictures.device.type == "cuda", drop_last=True,
                      persistent_workers=workers > 0)


def plain_steps(student: nn.Module, teacher: nn.Module, loader: DataLoader, lr: float, device: torch.device
                ) -> Iterator[float]:
    """Plain distillation, step by step: the loss of each, read back as it happens."""
    sgd = torch.optim.SGD(student.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    divergence = nn.KLDivLoss(reduction="batchmean")
    student.train()
    teacher.eval()
    while True:
        for images, labels in loader:
            images, labels = images.to(device), labels.to(device)
            logits = student(images)
            with torch.no_grad():
                answers = teacher(images)
            soft = divergence(F.log_softmax(logits / TEMPERATURE, 1), F.softmax(answers / TEMPERATURE, 1))
            loss = ALPHA * TEMPERATURE**2 * soft + (1 - ALPHA) * F.cross_entropy(logits, labels)
            right = (logits.argmax(1) == labels).float().sum().item()
            found = loss.item()
            assert right <= BATCH
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            yield found
