"""Sentences of a small English grammar, for the generated speakers."""

import numpy as np

WORDS = {
    "adjective": (
        "little old quiet yellow clever heavy early gentle broken silver hungry narrow "
        "purple friendly distant careful wooden brave thirsty modern"
    ),
    "person": (
        "farmer teacher sailor neighbour doctor painter baker cousin driver singer lawyer "
        "gardener pilot student stranger uncle judge waiter"
    ),
    "verb": (
        "carried followed noticed painted borrowed measured answered visited remembered "
        "hid bought lifted described ignored washed pulled chose found"
    ),
    "thing": (
        "basket window river letter kitchen mountain engine garden blanket ticket mirror "
        "hammer bicycle orchard puzzle suitcase lantern bottle chair piano"
    ),
    "place": (
        "bridge station harbour church valley market forest hospital airport theatre "
        "village island school meadow tower courtyard beach castle"
    ),
    "preposition": (
        "behind near under beyond above beside around before towards inside past outside"
    ),
    "time": (
        "yesterday today tonight again slowly on_Monday in_August every_morning at_noon "
        "last_winter after_dinner for_an_hour twice_a_week in_the_evening"
    ),
    "number": (
        "two three four five six seven eight nine ten eleven twelve fifteen twenty forty ninety"
    ),
}
PATTERNS = (
    "the adjective person verb the adjective thing preposition the place",
    "time the person verb number adjective things preposition the place",
    "my person verb one adjective thing and the person verb it preposition the place time",
    "who verb the number things of the adjective person preposition that place",
    "preposition the adjective place the person verb our thing time",
    "number adjective persons verb this thing time preposition the place",
)


def make_sentence(rng: np.random.Generator) -> str:
    """Draw a sentence of about ten words."""
    words = []
    for slot in PATTERNS[rng.integers(len(PATTERNS))].split():
        kind = slot.removesuffix("s")
        if kind not in WORDS:
            words.append(slot)
            continue
        choices = WORDS[kind].split()
        word = choices[rng.integers(len(choices))].replace("_", " ")
        if slot != kind:
            word += "s"
        words.append(word)
    return " ".join(words).capitalize() + "."
