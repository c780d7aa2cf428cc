"""What the parameters of notebook 03 may be."""


from kdutils.course.session import Session
from kdutils.errors import between, filled, whole
from kdutils.lessons.subclass_distillation import experiment
from kdutils.lessons.subclass_distillation.parameters import SubclassDistillation


def parameters(
    session: Session,
    subclasses: int = 5,
    beta: float = 0.1,
    t_aux: float = 0.5,
    transfer_sizes: tuple[int, ...] = (20, 50, 100, 200, 500, 1200),
    temperature: float = 4.0,
    example_digit: int = 3,
) -> SubclassDistillation:
    """The experiment of the page at this session's scale; ParameterError for what a cell below could not run with.

    T is that of the few-labels race, too. s, beta and T_aux go further than the sliders of *Split my class*, which
    begin at the nearest value they have.
    """
    whole("example_digit", example_digit, 0, 9)
    params = session.scaled(
        experiment,
        full=24,
        subclasses=whole("subclasses", subclasses, 1, 20),
        beta=between("beta", beta, 0, 100),
        t_aux=between("t_aux", t_aux, 0.05, 100),
        transfer_sizes=filled("transfer_sizes", transfer_sizes),
        temperature=between("temperature", temperature, 0.5, 16),
    )
    experiment.prepare(params)
    return params
