# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""How a patient's name may be spelled in a path: groups, components, joined forms, one spelling of letters and kana."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# A shorter identifier counts only as a whole word: "Li" or "12" lies within too many harmless names.
_SHORTEST_PART = 5
# Chinese, Japanese and Korean words are written without blanks, so that two such letters count within a word, too.
_SHORTEST_WIDE_PART = 2
# What separates the groups (PS3.5 6.2.1.2), the components, and the words within a component.
_GROUPS, _COMPONENTS, _WORDS = r"[=\uff1d]", r"[\^\uff3e]", r"[\s,\uff0c\u3001\u00b7\u30fb\uff65]+"
_SMALL_KANA = str.maketrans("ァィゥェォッャュョヮヵヶ", "アイウエオツヤユヨワカケ")
_TO_KATAKANA = str.maketrans({chr(code): chr(code + 0x60) for code in range(0x3041, 0x3097)})
# Character sets in which names are stored without being declared (0008,0005), or against what is declared.
_UNDECLARED = ("utf-8", "cp932", "euc_jp", "gb18030", "euc_kr", "big5")
_WITH_ESCAPES = ("iso2022_jp_2", "iso2022_kr")


def plain(text: str) -> str:
    """One spelling of a text: lower case, no accents, letters and digits only, kana of one kind and full size.

    >>> plain("Tarō YAMADA-17"), plain("ﾔﾏﾀﾞ") == plain("やまた゛") == plain("ヤマダ")
    ('taroyamada17', True)
    """
    return _composed("".join(letter for letter in _bare(text) if letter.isalnum()))


def plain_words(text: str) -> set[str]:
    """The words of a text, each in the spelling of `plain`."""
    return {_composed(word) for word in re.split(r"[\W_]+", _bare(text)) if word}


def counts_within_words(part: str) -> bool:
    """Whether an identifier, in the spelling of `plain`, is telling enough to be looked for within words.

    >>> counts_within_words("yamada"), counts_within_words("li"), counts_within_words(plain("山田"))
    (True, False, True)
    """
    return len(part) >= _SHORTEST_PART or sum(map(_is_wide, part)) >= _SHORTEST_WIDE_PART


def is_telling(part: str) -> bool:
    """Whether an identifier says anything at all: two letters, or one ideograph, kana or Hangul syllable."""
    return len(part) > 1 or any(map(_is_wide, part))


def name_parts(name: str) -> set[str]:
    """A Person Name (VR PN) in the forms that a path may show.

    These are the words of each group (alphabetic, ideographic, phonetic), and family and given name without a blank, in
    either order.

    >>> sorted(name_parts("Yamada^Taro=山田^太郎"))
    ['Taro', 'TaroYamada', 'Yamada', 'YamadaTaro', '太郎', '太郎山田', '山田', '山田太郎']
    """
    return {part for group in re.split(_GROUPS, name) for part in _parts_of_group(group)}


def undeclared_readings(stored: bytes) -> Iterator[str]:
    """What the bytes of a text say in the character sets that are used without being declared.

    A name is read so in addition to what its header declares. A reading that is wrong mentions nobody.
    """
    has_escapes = b"\x1b" in stored
    if stored.isascii() and not has_escapes:
        return
    for encoding in _WITH_ESCAPES if has_escapes else _UNDECLARED:
        try:
            yield stored.decode(encoding).strip()
        except UnicodeDecodeError:
            continue
        if encoding == "utf-8":  # no text in another character set is UTF-8 by chance
            return


def _parts_of_group(group: str) -> Iterator[str]:
    components = [_words(component) for component in re.split(_COMPONENTS, group)]
    yield from (word for words in components for word in words)
    if len(components) > 1:
        families, given = ["".join(components[0])], components[1]
        others = [*given, "".join(given)]
    else:  # one component: a family name first, or last
        words = components[0]
        families, others = [*words[:1], *words[-1:]], [*words, "".join(words[1:]), "".join(words[:-1])]
    for family in families:
        for other in others:
            if family and other and family != other:
                yield from (family + other, other + family)


def _words(component: str) -> list[str]:
    words = re.split(_WORDS, component)
    return [word for word in words if is_telling(word) and not word.isdigit()]


def _bare(text: str) -> str:
    """Lower case, compatible letters made one, without accents and other marks; letters of Hangul stay apart."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    decomposed = unicodedata.normalize("NFKD", folded)
    return "".join(letter for letter in decomposed if not unicodedata.category(letter).startswith("M"))


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).translate(_TO_KATAKANA).translate(_SMALL_KANA)


def _is_wide(letter: str) -> bool:
    return unicodedata.east_asian_width(letter) in "WF" and letter.isalnum()
