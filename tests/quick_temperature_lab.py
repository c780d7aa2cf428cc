"""A temperature lab that is quick enough for tests."""



from kdutils.lessons.dark_knowledge.panels.temperature_lab import TemperatureLab

SEEDS, STEPS = 3, 30


class QuickLab(TemperatureLab):
    """The temperature lab; a control counts as released soon."""

    delay, patience = 0.03, 60.0
