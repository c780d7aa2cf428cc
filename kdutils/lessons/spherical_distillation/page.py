"""What the parameters of notebook 04 may be."""


from kdutils.course.session import Session
from kdutils.errors import ParameterError, between, each_between, each_whole, whole
from kdutils.lessons.spherical_distillation import experiment
from kdutils.lessons.spherical_distillation.parameters import SphericalDistillation

MAX_WIDTH = 16384


def parameters(
    session: Session,
    widths: tuple[int, ...] = (32, 128, 512, 2048),
    temperatures: tuple[float, ...] = (1, 4, 16),
    m: float = 2.0,
    transfer: int = 100,
    example_digit: int = 3,
) -> SphericalDistillation:
    """The experiment of the page at this session's scale; ParameterError for what a cell below could not run with."""
    whole("example_digit", example_digit, 0, 9)
    each_whole("widths", widths, 1, MAX_WIDTH, least=2)
    if list(widths) != sorted(widths):
        raise ParameterError(f"widths must be in order, the smallest first, got {list(widths)}.")
    params = session.scaled(
        experiment,
        full=24,
        widths=widths,
        temperatures=each_between("temperatures", temperatures, 0.1, 100, least=2),
        m=between("m", m, 0.1, 100),
        transfer=whole("transfer", transfer, 1, 1200),
    )
    experiment.prepare(params)
    return params
