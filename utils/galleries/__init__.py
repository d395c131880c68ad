"""Galleries of enrolled people: their file, enrolment, and identification within them.

`files` reads and writes a gallery, `enrolment` checks and adds recordings of a person,
`identification` ranks the people of a gallery for a recording, and decides.
"""

from utils.galleries.enrolment import Checker, Enrolment, enrol_person, rebuild_gallery
from utils.galleries.files import Gallery, Person, checked_name, read_gallery, remove_person
from utils.galleries.identification import Candidate, Identification, Identifier, OpenSet

__all__ = [
    "Candidate",
    "Checker",
    "Enrolment",
    "Gallery",
    "Identification",
    "Identifier",
    "OpenSet",
    "Person",
    "checked_name",
    "enrol_person",
    "read_gallery",
    "rebuild_gallery",
    "remove_person",
]
