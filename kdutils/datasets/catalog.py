"""Which data sets there are, where they lie, and how they are loaded or fetched."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from tqdm import tqdm

from kdutils.datasets import adult, cifar, idx, svhn
from kdutils.datasets.base import Dataset
from kdutils.datasets.celeba import LAYOUTS as CELEBA
from kdutils.datasets.clicks import clicks
from kdutils.datasets.criteo import LAYOUTS as CRITEO
from kdutils.datasets.fetch import Download, fetch, unpack
from kdutils.datasets.files import File, Layout, complaint
from kdutils.datasets.groupings import GROUPINGS
from kdutils.datasets.table import Table
from kdutils.datasets.transforms import superclasses
from kdutils.errors import ParameterError, one_of
from kdutils.folders import chosen
from kdutils.locks import alone

LONGEST = 6 * 3600.0  # seconds to wait for another process that fetches the same


@dataclass(frozen=True)
class Card:
    """What a reader should know of a data set before using it, and what it takes to load it.

    name, title; examples: how many; shape: of one of them, in words; licence; cite: whom to cite.
    layouts: the ways in which it may lie on the disk; the first is what `get` makes. downloads: where that comes from.
    by_hand: for a set that is not ours to fetch, what its reader must do. make: for one that needs no files.
    """

    name: str
    title: str
    examples: int
    shape: str
    licence: str
    cite: str
    layouts: tuple[Layout, ...] = ()
    downloads: tuple[Download, ...] = ()
    by_hand: str = ""
    make: Callable[[], Dataset | Table] | None = None

    @property
    def embedded(self) -> bool:
        """True where nothing needs to be downloaded."""
        return self.make is not None

    @property
    def download_mb(self) -> float:
        """What `get` transfers, in MB."""
        return round(sum(download.file.bytes for download in self.downloads) / 1e6, 1)

    @property
    def how(self) -> str:
        """How to come by it, as the middle of a sentence."""
        return self.by_hand or f"fetch it ({self.download_mb:g} MB) with `kdutils data get {self.name}`"


def _digits() -> Dataset:
    bunch = load_digits()
    images = torch.from_numpy(bunch.images).to(torch.uint8)[:, None]
    return Dataset("digits", images, torch.from_numpy(bunch.target).long(), tuple("0123456789"), full_scale=16)


def _packed(layouts: tuple[Layout, Layout], *mirrors: str) -> tuple[Download, ...]:
    """Downloads of the four packed files of an idx set."""
    return tuple(Download(file, tuple(mirror + Path(file.path).name for mirror in mirrors))
                 for file in layouts[1].files)


_KRIZ = "https://www.cs.toronto.edu/~kriz/"
_UCI = "https://archive.ics.uci.edu/ml/machine-learning-databases/"
_HOUSE_NUMBERS = "http://ufldl.stanford.edu/housenumbers/"

CARDS = {card.name: card for card in (
    Card("digits", "Optical recognition of handwritten digits (test part)", 1_797, "8x8 grey, 10 classes", "CC BY 4.0",
         "Alpaydin and Kaynak 1998, UCI Machine Learning Repository; shipped with scikit-learn", make=_digits),
    Card("mnist", "MNIST handwritten digits", 70_000, "28x28 grey, 10 classes", "CC BY-SA 3.0",
         "LeCun, Cortes and Burges 1998", idx.MNIST,
         _packed(idx.MNIST, "https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")),
    Card("fashion-mnist", "Fashion-MNIST articles of clothing", 70_000, "28x28 grey, 10 classes", "MIT",
         "Xiao, Rasul and Vollgraf 2017 (Zalando), arXiv 1708.07747", idx.FASHION,
         _packed(idx.FASHION, "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/")),
    Card("cifar-10", "CIFAR-10 tiny photographs", 60_000, "32x32 colour, 10 classes", "none stated; cite the owner",
         "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images", cifar.LAYOUTS_10,
         (Download(File("cifar-10-binary.tar.gz", 170_052_171, "c32a1d4ab5d03f1284b67883e8d87530"),
                   (_KRIZ + "cifar-10-binary.tar.gz",)),)),
    Card("cifar-100", "CIFAR-100 tiny photographs", 60_000, "32x32 colour, 100 classes in 20 coarse ones",
         "none stated; cite the owner", "Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images",
         cifar.LAYOUTS_100,
         (Download(File("cifar-100-binary.tar.gz", 168_513_733, "03b5dce01913d631647c71ecec9e9cb8"),
                   (_KRIZ + "cifar-100-binary.tar.gz",)),)),
    Card("svhn", "Street View House Numbers, cropped digits", 99_289, "32x32 colour, 10 classes",
         "for non-commercial use only", "Netzer, Wang, Coates, Bissacco, Wu and Ng 2011", svhn.LAYOUTS,
         tuple(Download(file, (_HOUSE_NUMBERS + file.path,)) for file in svhn.LAYOUTS[0].files)),
    Card("celeba", "CelebA faces with forty attributes", 202_599, "178x218 colour, scaled to 32x32; 2 classes",
         "for non-commercial research only", "Liu, Luo, Wang and Tang 2015, Deep Learning Face Attributes in the Wild",
         CELEBA, by_hand="fetch img_align_celeba, list_attr_celeba.txt and list_eval_partition.txt from its "
         "owners (mmlab.ie.cuhk.edu.hk/projects/CelebA.html) and put them into its folder celeba"),
    Card("adult", "UCI Adult: does a person earn more than 50,000 dollars a year?", 48_842,
         "6 numbers and 8 categories, 2 classes", "CC BY 4.0",
         "Becker and Kohavi 1996, UCI Machine Learning Repository, doi 10.24432/C5XW20", adult.LAYOUTS,
         tuple(Download(file, (_UCI + file.path,)) for file in adult.LAYOUTS[0].files)),
    Card("criteo", "Criteo display advertising: was an impression clicked?", 45_840_617,
         "13 counts and 26 categories, the first 100,000 rows; 2 classes", "Criteo's own terms, for research",
         "Criteo Labs 2014, Display Advertising Challenge", CRITEO,
         by_hand="accept its owners' terms (ailab.criteo.com), fetch train.txt and put it into its folder criteo"),
    Card("clicks", "Simulated clicks on advertisements, with hidden user segments", 20_000,
         "5 numbers and 5 categories, 2 classes; any number of rows", "MIT, as this course", "synthetic: made by this "
         "course from the equations in kdutils/datasets/clicks.py", make=clicks),
)}


def root() -> Path:
    """Where downloads lie: KDUTILS_DATA, else `data` in the clone of the course, else `data` in the working folder."""
    if folder := chosen("KDUTILS_DATA"):
        return folder
    beside = Path(__file__).parents[2] / "data"
    return beside if (beside / "README.md").is_file() else Path("data")  # beside an installed package lie others


def source(name: str) -> str:
    """The name in CARDS of what a data set is made of: of a grouping, what it groups; of all others their own."""
    one_of("data set", name, (*CARDS, *GROUPINGS))
    return GROUPINGS[name].data if name in GROUPINGS else name


def available(name: str) -> bool:
    """True if the data set's files are there with their sizes; their content is looked at when it is loaded."""
    card = CARDS[source(name)]
    return card.embedded or any(layout.fits(root()) for layout in card.layouts)


def state(name: str) -> str:
    """Of a data set that is not embedded: "here", as `available` says, "not here", or "not whole": parts of it."""
    if available(name):
        return "here"
    return "not whole" if any(layout.present(root()) for layout in CARDS[source(name)].layouts) else "not here"


def load(name: str = "digits", device: str | torch.device = "cpu") -> Dataset | Table:
    """The data set of this name, of CARDS or of GROUPINGS, whole, on `device`; files are compared with their checksums.

    A grouping has coarse `labels`, and the classes that it unites in `hidden` and `hidden_classes`. Never downloads:
    absent data say what to run, and files that are not what their name says are named. CIFAR-100 takes 184 MB; its
    `inputs`, float32, 737 MB more while they are used.
    """
    if source(name) != name:
        return replace(superclasses(load(source(name), device), GROUPINGS[name].groups), name=name)
    try:
        data = _load_from(name, root())
    except OSError as error:
        raise ParameterError(f"The data set {name} in {root()} cannot be read ({error.strerror}).") from error
    return data.to(usable_device(device))


def grouped(name: str, device: str | torch.device = "cpu") -> Dataset:
    """`load` for those who need hidden classes: refuses a name that is none of GROUPINGS."""
    return load(one_of("grouping", name, GROUPINGS), device)


def usable_device(device: str | torch.device) -> torch.device:
    """The device, if torch can put a number there and read it again, which "meta" cannot; else ParameterError."""
    try:
        number = torch.zeros(1, device=torch.device(device))
        number.item()
        return number.device
    except (RuntimeError, AssertionError, TypeError) as error:  # torch built without CUDA asserts
        raise ParameterError(f"device must be one that torch can use here, such as cpu, got {device!s}.") from error


def get(name: str) -> Path:
    """Fetch a data set into `root()` with a progress bar; checksums are verified. Returns the folder."""
    name = source(name)
    card, folder = CARDS[name], root()
    if card.embedded:
        return folder
    if card.by_hand:
        raise ParameterError(f"The data set {name} is not ours to hand out: {card.by_hand} in {folder}.")
    known = _known()
    for layout in card.layouts:
        if layout.fits(folder):
            _complain(card, layout, folder)
            return folder
    layout = card.layouts[0]
    for file in layout.present(folder):
        if wrong := complaint(file, folder, known):
            raise ParameterError(f"{wrong}; delete it and run the command again.")
    with alone(folder / f".{name}.lock", LONGEST, lambda: tqdm.write(f"Another process is fetching {name}; this one "
                                                                     "waits for it.", file=sys.stderr)):
        if not layout.fits(folder):
            _fetch_all(card, layout, folder, known)
    return folder


def _fetch_all(card: Card, layout: Layout, folder: Path, known: list[tuple[str, File]]) -> None:
    """Every file of a layout, from the network into the folder."""
    try:
        for download in card.downloads:
            already = (folder / download.file.path).exists()
            archive = fetch(download, folder, known)
            if download.file not in layout.files:
                unpack(archive, layout.files, folder, known)
                if not already:
                    archive.unlink()
    except OSError as error:
        raise ParameterError(f"The data set {card.name} cannot be written into {folder} ({error.strerror}).") from error


def _known() -> list[tuple[str, File]]:
    """Every file of every data set, with the name of its set."""
    return [(card.name, file) for card in CARDS.values()
            for file in [file for layout in card.layouts for file in layout.files]
            + [download.file for download in card.downloads]]


@cache
def _load_from(name: str, folder: Path) -> Dataset | Table:
    card = CARDS[name]
    if card.make:
        return card.make()
    for layout in card.layouts:
        if layout.fits(folder):
            _complain(card, layout, folder)
            return layout.read([folder / file.path for file in layout.files])
    nearest = max(card.layouts, key=lambda layout: len(layout.present(folder)))
    if nearest.present(folder):
        _complain(card, nearest, folder)
    raise ParameterError(f"The data set {name} is not in {folder}; {card.how}, or set KDUTILS_DATA to where it lies.")


def _complain(card: Card, layout: Layout, folder: Path) -> None:
    """Raise what is wrong with the first wrong file of a layout."""
    for file in layout.files:
        if wrong := complaint(file, folder, _known()):
            mend = card.how if wrong.endswith("is missing") else f"delete it, then {card.how}"
            raise ParameterError(f"The data set {card.name} is not whole: {wrong}; {mend}.")
