from pytest_readiness import catalogue
from pytest_readiness.catalogue import SIGNOFF
from pytest_readiness.run.markers import SECTIONS


def test_every_section_and_subsection_of_a_run_is_a_marker() -> None:
    names = {
        name
        for section, subsections in catalogue.sections().items()
        if section != SIGNOFF
        for name in (section, *subsections)
    }
    assert sorted(SECTIONS) == sorted(names)
