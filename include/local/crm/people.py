"""Names, addresses and keys of the demo's people, and how their other records differ.

All of it is invented and marked: every surname ends in -Demo, every e-mail address is under a
domain that RFC 2606 reserves, every phone number is under the unassigned area code 555.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache

import numpy as np
import pyarrow as pa

from include.local.crm.world import DAY_SECONDS, Array, People, Plan, Span


def _words(text: str) -> list[str]:
    return text.split()


FIRST = _words(
    "Ada Aïda Alma Anaïs Ari Benno Björn Carla Chloé Dario Eira Elif Émile Enzo Esmé Farah "
    "Finn Freya Gaël Hana Hélène Ida Inês Ines Ivo Jana Joël Jonas José Kaja Karim Léa Leon "
    "Lior Livia Luís Maëlle Maja Malik Mara Marek Márta Mila Milo Nadia Naïm Nils Noa Noé "
    "Núria Olga Oskar Paola Pia Rasmus Renée Rosa Samir Selma Sören Talia Théo Tomás Ulla "
    "Vera Yara Yusuf Zélie Zoë Zora"
)
STARTS = _words(
    "Al Bar Cor Dal El Fen Gar Hol Iv Jor Kal Lin Mor Nor Ol Pel Quin Ras Sal Tor Ul Vel Wes "
    "Yor Zan Bré Dö Fjä Gró Kü"
)
ENDS = _words(
    "berin dalen dorf einen fara gard hult ingen jola karvi lander lieu mar neth olin quist "
    "rado ström tane ussel vari wick xen yard zelle bois campo núñe petit roux"
)
PLACES = (  # invented towns: name, region, country, language
    ("Northhaven", "Westmark", "GB", "en"), ("Eldermouth", "Southfold", "GB", "en"),
    ("Grünwalde am See", "Neumark", "DE", "de"), ("Steinbrücken", "Neumark", "DE", "de"),
    ("Altfeldern", "Talland", "DE", "de"), ("Valmont-sur-Orle", "Haute-Orle", "FR", "fr"),
    ("Saint-Élin", "Basse-Orle", "FR", "fr"), ("Villa Serena", "Costalta", "ES", "es"),
    ("Puerto Añil", "Costalta", "ES", "es"), ("Lageveen", "Waterland", "NL", "nl"),
    ("Duinrode", "Waterland", "NL", "nl"), ("Granskär", "Österlund", "SE", "sv"),
)  # fmt: skip
DOMAINS = ("example.com", "example.org", "example.net")
JUNK_MAILS = ("none@none", "n/a", "noemail@example.com", "test@test", "-")
TWIN_OFFSET, OTHER_OFFSET = 5_000_000, 3_000_000
"""Shop ids of second registrations; numbers of people whom only support knows."""
ACCOUNT_SHARE, SUPPORT_ONLY_SHARE = 0.75, 0.03
MEMBER_SHARE, MEMBER_KNOWN_SHARE = 0.45, 0.8
HOPELESS_SHARE = 0.05
"""Other records that keep nothing to recognise their person by."""
STAFF_DOMAIN = "staff.example"
TEST_NAME = "Tester"  # not Test: that word is also a split of bi.model_metric


@dataclass
class Identity:
    """What a record says about its person, one element a record; None where it says nothing."""

    number: Array  # the person
    first: Array
    last: Array
    email: Array
    phone: Array
    born: Array  # datetime64[D]
    gender: Array
    place: Array
    street: Array
    postal_code: Array
    member_no: Array
    hopeless: Array

    def take(self, at: Array) -> "Identity":
        """The records at some positions, as copies."""
        return Identity(*(values[at].copy() for values in vars(self).values()))

    def __len__(self) -> int:
        return len(self.number)


def plain(text: str) -> str:
    """ASCII letters only, lower case."""
    parted = unicodedata.normalize("NFD", text.lower())
    return "".join(letter for letter in parted if letter.isascii() and letter.isalpha())


def scrambled(number: Array) -> Array:
    """Seven digits from a number below 7,999,993, without collisions."""
    return np.asarray(number.astype(np.int64) * 4_999_999 % 7_999_993)


def is_staff(number: Array) -> Array:
    """Who works for the shop, and buys there: every 400th person."""
    return np.asarray(number % 400 == 40)


def is_test(number: Array) -> Array:
    """Which accounts somebody made to try the shop: every 500th person, called ``TEST_NAME``."""
    return np.asarray(number % 500 == 100)


def _phones(number: Array) -> Array:
    digits = [f"{2_000_000 + n:07d}" for n in scrambled(number).tolist()]
    return np.array([f"+1 555 {d[:3]} {d[3:]}" for d in digits], dtype=object)


def _blank(values: Array, where: Array) -> Array:
    values[where] = None
    return values


def identities(number: Array, rng: np.random.Generator) -> Identity:
    """Draw who people are, as their own true record has it."""
    n = len(number)
    first = np.array(FIRST, dtype=object)[rng.integers(0, len(FIRST), n)]
    first[is_test(number)] = TEST_NAME
    stems = [f"{start}{end}-Demo" for start in STARTS for end in ENDS]
    last = np.array(stems, dtype=object)[rng.integers(0, len(stems), n)]
    domain = np.array(DOMAINS, dtype=object)[rng.integers(0, len(DOMAINS), n)]
    domain[is_staff(number)] = STAFF_DOMAIN
    easy_first = {name: plain(name) for name in (*FIRST, TEST_NAME)}
    easy_last = {name: plain(name) for name in stems}
    email = np.array(
        [
            f"{easy_first[f]}.{easy_last[s]}{k}@{d}"
            for f, s, k, d in zip(first, last, number.tolist(), domain, strict=True)
        ],
        dtype=object,
    )
    phone = _phones(number)
    shares_phone, shares_email = number[1:] % 100 == 50, number[1:] % 500 == 250  # households
    phone[1:][shares_phone] = phone[:-1][shares_phone]
    email[1:][shares_email] = email[:-1][shares_email]
    age_days = np.clip(rng.normal(44, 14, n), 18, 90) * 365.25
    street = [f"{a} Demo Street" for a in rng.integers(1, 200, n).tolist()]
    member = rng.random(n) < MEMBER_SHARE
    code = [f"M{s:07d}" for s in scrambled(number).tolist()]
    return Identity(
        number=number,
        first=first,
        last=last,
        email=email,
        phone=phone,
        born=np.datetime64("2024-01-01", "D") - age_days.astype(int),
        gender=rng.choice(["f", "m", "x"], n, p=[0.52, 0.45, 0.03]).astype(object),
        place=rng.integers(0, len(PLACES), n),
        street=np.array(street, dtype=object),
        postal_code=np.array([f"D{c:05d}" for c in rng.integers(0, 99999, n)], dtype=object),
        member_no=_blank(np.array(code, dtype=object), ~member),
        hopeless=np.zeros(n, dtype=bool),
    )


def _typo(name: str, place: float) -> str:
    """Two neighbouring letters swapped, or accents lost where there are any."""
    if not name.isascii():
        return unicodedata.normalize("NFD", name).encode("ascii", "ignore").decode()
    at = 1 + int(place * (len(name.removesuffix("-Demo")) - 2))
    return name[:at] + name[at + 1] + name[at] + name[at + 2 :]


def varied(
    known: Identity, rng: np.random.Generator, *, same_email: float, keeps: bool
) -> Identity:
    """Another record of the same people: changed, missing, mistyped, or hopeless to match."""
    other, n = known.take(np.arange(len(known))), len(known)
    mail, phone, name, spot = rng.random(n), rng.random(n), rng.random(n), rng.random(n)
    hopeless = rng.random(n) < HOPELESS_SHARE
    changed = (mail >= same_email) & (mail < same_email + 0.6 * (1 - same_email))
    called = np.where(hopeless, "user", other.first)
    fresh = [
        f"{plain(f)}{s}@mail.example"
        for f, s in zip(called, scrambled(other.number + 1), strict=True)
    ]
    other.email = np.where(changed | hopeless, np.array(fresh, dtype=object), other.email)
    _blank(other.email, mail >= same_email + 0.6 * (1 - same_email))
    other.phone = np.where(phone < 0.15, _phones(other.number + 6_000_000), other.phone)
    _blank(other.phone, (phone > 0.7) | hopeless)
    for at in np.flatnonzero(name < 0.12):
        other.last[at] = _typo(other.last[at], spot[at])
    other.first = np.where(hopeless, "Guest", other.first)
    anonymous = [f"User{s}-Demo" for s in scrambled(other.number + 2).tolist()]
    other.last = np.where(hopeless, np.array(anonymous, dtype=object), other.last)
    other.born = np.where(hopeless | (rng.random(n) < 0.4), np.datetime64("NaT"), other.born)
    lost = hopeless | (rng.random(n) > (MEMBER_KNOWN_SHARE if keeps else 0))
    _blank(other.member_no, lost)
    other.street = np.where(hopeless, "Demo Poste Restante", other.street)
    other.postal_code = np.where(hopeless, "D00000", other.postal_code)
    other.hopeless = hopeless
    return other


@cache
def _twins(plan: Plan) -> tuple[Array, Array]:
    rng, wanted = plan.rng(6), plan.customers - plan.persons
    numbers = np.sort(rng.choice(np.arange(2, plan.persons + 1), wanted, replace=False))
    return numbers, rng.random(wanted)


def switches(plan: Plan, folk: People) -> Array:
    """Unix seconds from which each person uses a second shop record; far future where never."""
    numbers, share = _twins(plan)
    at = np.full(len(folk), np.iinfo(np.int64).max)
    if len(numbers):
        found = np.searchsorted(numbers, folk.number).clip(max=len(numbers) - 1)
        twin = numbers[found] == folk.number
        day = folk.signup_day + share[found] * (plan.days - 1 - folk.signup_day)
        at[twin] = plan.seconds(np.floor(day))[twin]
    return at


def record_at(plan: Plan, folk: People, person: Array, seconds: Array) -> Array:
    """The shop id that a person (position) uses at a moment."""
    second = seconds >= switches(plan, folk)[person]
    return np.asarray(folk.number[person] + np.where(second, TWIN_OFFSET, 0))


def account_no(number: Array) -> Array:
    """The key of a person's support account."""
    return np.array([f"A{s:08d}" for s in scrambled(number).tolist()], dtype=object)


@dataclass
class Records:
    """Every record of a block's people, in both systems."""

    shop: Identity
    shop_id: Array
    shop_created: Array  # Unix seconds
    shop_company: Array
    shop_deleted: Array
    account: Identity
    account_created: Array
    has_account: Array  # by position in People
    own_account_created: Array  # by position in People; far future where there is none


def records(plan: Plan, folk: People) -> Records:
    """Draw every record of a block."""
    rng, n = plan.rng(7, folk.block), len(folk)
    true = identities(folk.number, rng)
    created = plan.seconds(np.floor(folk.signup_day)) + rng.integers(3 * 3600, 5 * 3600, n)
    switch = switches(plan, folk)
    twin = np.flatnonzero(switch < np.iinfo(np.int64).max)
    has_account = rng.random(n) < ACCOUNT_SHARE
    own = np.where(
        has_account, created + (rng.random(n) ** 2 * 30 * DAY_SECONDS).astype(np.int64), 2**62
    )
    outside = np.flatnonzero(rng.random(n) < SUPPORT_ONLY_SHARE)
    strangers = identities(folk.number[outside] + OTHER_OFFSET, rng)
    owners = np.flatnonzero(has_account)
    seen = varied(true.take(owners), rng, same_email=0.6, keeps=True)
    again = varied(true.take(twin), rng, same_email=0.35, keeps=False)
    shop = _joined(true, again)
    _blank(shop.phone, rng.random(len(shop)) < 0.15)
    _blank(shop.email, rng.random(len(shop)) < 0.03)
    junk = np.flatnonzero(rng.random(len(shop)) < 0.003)
    shop.email[junk] = np.array(JUNK_MAILS, dtype=object)[junk % len(JUNK_MAILS)]
    shop.born[rng.random(len(shop)) < 0.3] = np.datetime64("NaT")
    _blank(shop.gender, rng.random(len(shop)) < 0.25)
    idle = np.r_[folk.never_buys & (rng.random(n) < 0.05), np.zeros(len(twin), dtype=bool)]
    return Records(
        shop=shop,
        shop_id=np.r_[folk.number, folk.number[twin] + TWIN_OFFSET],
        shop_created=np.r_[created, switch[twin]],
        shop_company=np.r_[folk.company, folk.company[twin]],
        shop_deleted=idle,
        account=_joined(seen, strangers),
        account_created=np.r_[own[owners], created[outside]],
        has_account=has_account,
        own_account_created=own,
    )


def _joined(some: Identity, more: Identity) -> Identity:
    pairs = zip(vars(some).values(), vars(more).values(), strict=True)
    return Identity(*(np.concatenate(pair) for pair in pairs))


def span_of(seconds: Array, span: Span) -> Array:
    """Positions of the moments in a span."""
    return np.flatnonzero((seconds >= span.since) & (seconds < span.until))


def customer_rows(made: Records, span: Span) -> pa.Table:
    """The rows of ``customers`` in a span."""
    there = span_of(made.shop_created, span)
    who, company = made.shop.take(there), made.shop_company[there]
    place = [PLACES[p] for p in who.place.tolist()]
    firms = [
        f"{s.removesuffix('-Demo')} Demo Ltd" if c else None
        for s, c in zip(who.last, company, strict=True)
    ]
    created = pa.array(made.shop_created[there], pa.timestamp("s", "UTC"))
    return pa.table({
        "id": made.shop_id[there],
        "member_no": pa.array(who.member_no, pa.string()),
        "first_name": pa.array(who.first, pa.string()),
        "last_name": pa.array(who.last, pa.string()),
        "email": pa.array(who.email, pa.string()),
        "phone": pa.array(who.phone, pa.string()),
        "birth_date": pa.array(who.born),
        "gender": pa.array(who.gender, pa.string()),
        "company": pa.array(firms, pa.string()),
        "is_company": company,
        "street": pa.array(who.street, pa.string()),
        "city": [p[0] for p in place],
        "postal_code": pa.array(who.postal_code, pa.string()),
        "region": [p[1] for p in place],
        "country": [p[2] for p in place],
        "language": [p[3] for p in place],
        "created_at": created,
        "deleted": made.shop_deleted[there],
        "updated_at": created,
    })  # fmt: skip


PHONE_STYLES = ("+1-555-{}-{}", "001 555 {}{}", "+1555{}{}", "(555) {}-{}", "+1 555 {} {}")


def account_rows(made: Records, span: Span) -> list[dict[str, object]]:
    """``accounts`` in support's own style: one name field, day-first dates, other phone formats."""
    rows: list[dict[str, object]] = []
    there = span_of(made.account_created, span)
    who, number = made.account.take(there), account_no(made.account.number[there])
    born = who.born.astype("datetime64[D]").astype(object)
    opened = np.datetime_as_string(made.account_created[there].astype("datetime64[s]"))
    for at, digits in enumerate(scrambled(who.number + 3).tolist()):
        town, _, country, _ = PLACES[who.place[at]]
        first, last, mail, phone = who.first[at], who.last[at], who.email[at], who.phone[at]
        when = opened[at].replace("T", " ")
        rows.append({
            "account_no": number[at],
            "member_no": who.member_no[at],
            "display_name": f"{last}, {first}" if digits % 4 == 0 else f"{first} {last}",
            "mail": mail.upper() if mail and digits % 7 == 0 else mail,
            "telephone": phone and PHONE_STYLES[digits % 5].format(*phone.split(" ")[2:]),
            "born": born[at] and born[at].strftime("%d/%m/%Y"),
            "town": plain(town).title() if digits % 6 == 0 else town,
            "country_code": country.lower(),
            "registered": when,
            "changed": when,
        })  # fmt: skip
    return rows
