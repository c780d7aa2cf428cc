"""Results too large for a page: those that come with the course, or measured here where that is wanted."""

from kdutils.course.session import Session
from kdutils.datasets import CARDS, available
from kdutils.lessons import catalog
from kdutils.results import Results
from kdutils.sweeps import changed


def stored_or_measured(session: Session, experiment: str, data: str | None = None,
                       stored: str | None = None) -> Results:
    """The stored results of an experiment; at profile "full", where the data set is there, the same measured anew.

    experiment: a name of `catalog`. data: the data set it needs, None where nothing has to be fetched. stored: the name
    of its results, by default the experiment's. Measured anew it has the parameters of the stored results and this
    session's device. Prints which of the two it is, with date, device, version of torch and seeds.
    """
    results, said = catalog.recorded(stored or experiment), "Stored"
    if session.profile == "full" and (data is None or available(data)):
        module = catalog.experiment(experiment)
        params = changed(experiment, module.DEFAULT, {**results.params, "device": session.device})
        results, said = module.run(params, print), "Measured here"
    elif session.profile == "full":
        print(f"To measure {CARDS[data].title} here, {CARDS[data].how}.")
    made = results.provenance
    print(f"{said}: {made['date']}, {made['device']}, torch {made['torch']}, {results.params['seeds']} seeds")
    return results
