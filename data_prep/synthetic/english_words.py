"""The words that the English simulator fills its sentences with."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_FIRST_NAMES = _words(
    "Ada Albert Alice Anna Arthur Bruno Carla Cecilia Clara Daniel David Edith Elena Emil Eva Felix Flora Frida George "
    "Greta Hanna Hugo Ida Ines Jacob Jonas Julia Karl Laura Leo Lucia Martin Mary Nora Oscar Paula Peter Rosa Samuel "
    "Vera"
)
_SURNAMES = _words(
    "Abel Barnes Becker Bell Berg Brandt Carter Castro Dahl Duran Ellis Ferrari Fischer Foster Garcia Haas Hansen Hill "
    "Ivanov Jansen Keller Kim Lang Larsen Lopez Marino Meyer Moreau Novak Olsen Park Petrov Rossi Sato Silva Stone "
    "Torres Vogel Weber Young"
)

# Fillers with several forms are tuples; the wordings choose the form.
INVENTORIES: dict[str, tuple[str | tuple[str, ...], ...]] = {
    "people": tuple(f"{first} {last}" for first in _FIRST_NAMES for last in _SURNAMES),
    # Verbs whose object cannot equally well be their subject, and whose past tense is also their participle.
    "acts": _words(
        "accused admired advised appointed blamed defended described dismissed followed helped hired introduced "
        "invited paid praised protected questioned recommended replaced rescued supported sued taught thanked trained "
        "visited warned"
    ),
    "cities": _words(
        "Amsterdam Athens Barcelona Bergen Berlin Boston Bristol Brussels Budapest Cairo Chicago Dublin Florence "
        "Geneva Hamburg Helsinki Istanbul Kyoto Lima Lisbon London Lyon Madrid Milan Montreal Munich Naples Oslo "
        "Oxford Paris Prague Riga Rome Seoul Stockholm Sydney Tokyo Toronto Turin Vienna Warsaw Zurich"
    ),
    "years": tuple(str(year) for year in range(1820, 2020)),
    "occupations": _words(
        "actor baker banker captain carpenter chemist clerk dancer dentist doctor driver engineer farmer gardener "
        "guard hunter judge lawyer mayor merchant miner nurse painter pilot poet priest sailor singer soldier student "
        "tailor teacher waiter writer"
    ),
    "traits": _words(
        "angry brave calm careful cheerful clever curious famous friendly gentle honest lonely loyal nervous old "
        "patient polite poor proud quiet rich shy strict tall tired wise young"
    ),
    "vehicles": _words("bicycle boat bus car coach ferry horse plane ship sledge train tram"),
    "works": _words("article ballad book essay guide letter manual novel opera play poem report song story"),
    "topics": _words(
        "bees birds bread bridges clouds comets dreams gardens ghosts glaciers gold horses iron islands lakes maps "
        "medicine music rivers roses salt silk snow stars storms tides trade volcanoes whales wine wolves"
    ),
    "stays": _words("exhibited lectured lived performed preached stayed studied taught trained worked"),
    "visits": _words("explored mentioned painted photographed praised saw studied visited"),
    "colours": _words("black blue brown gold green grey orange pink purple red silver white yellow"),
    "things": _words(
        "barn boat bridge cabin car carriage castle chapel clock cottage fountain gate house lamp mill palace piano "
        "school shop statue table tent theatre tower wagon wall warehouse"
    ),
    # Each with its converse.
    "relations": (
        ("older", "newer"),
        ("taller", "shorter"),
        ("larger", "smaller"),
        ("wider", "narrower"),
        ("heavier", "lighter"),
        ("cleaner", "dirtier"),
        ("louder", "quieter"),
        ("stronger", "weaker"),
    ),
    # Past tense and participle for the giver, past tense for the receiver.
    "transfers": (
        ("sold", "sold", "bought"),
        ("gave", "given", "received"),
        ("lent", "lent", "borrowed"),
        ("leased", "leased", "rented"),
        ("left", "left", "inherited"),
    ),
}
