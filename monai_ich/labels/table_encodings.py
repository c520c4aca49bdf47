# Copyright 2026 The monai_ich authors. SPDX-License-Identifier: Apache-2.0
"""From a table's bytes to its text: the character encoding is found where only one fits, and asked for elsewhere."""

from __future__ import annotations

import codecs
import re
import unicodedata

from monai_ich.utils.errors import ManifestError

_BYTE_ORDER_MARKS = (  # UTF-32 before UTF-16, whose mark is the beginning of it
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# What Excel and hospital systems write without UTF-8: Japanese, Western European. These are taken without being named.
_TAKEN = ("cp932", "cp1252")
# Others that the same bytes may be. They are never taken without being named.
_RIVALS = ("gb2312", "big5", "euc_jp", "euc_kr", "cp1251")
# A wide letter that touches a Latin one: an accented letter within a word, read as Japanese or Chinese.
_SPOILT_WORD = re.compile(r"[A-Za-z][\u3040-\U0003ffff]|[\u3040-\U0003ffff][A-Za-z]")
# Western words hold no two accented letters in a row, but for these.
_WESTERN_PAIRS = re.compile(r"[äöüÄÖÜ]ß|ß[äöü]|ç[ãõáóâêàéôíú]|Ç[ÃÕÁÓÂÊÀÉÔÍÚ]")
# Two accented letters in a row, accents that stand alone, signs within words, raised digits without a word or a number.
_NOT_WESTERN = re.compile(
    r"[À-ÿŠšŽžŒœŸ]{2}|[\x80-\x9f¤¦¨¬¯´¸\xadˆ˜‚ƒ‹›™]|\w[¡¿×÷¶«»„†‡“”‘•…‰]\w|[¹²³ªº¼½¾][^\W\d_]|(?<![\w)])[¹²³ªº]|"
    r"(?<=\w)[—–][^\W\d_]|[—–](?=[^\W\d_])"
)
# Half-width marks of voice without a kana that has a voice.
_VOICELESS = re.compile(r"(?<![ｳｶ-ﾄﾊ-ﾎ])ﾞ|(?<![ﾊ-ﾎ])ﾟ")
_NOT_RUSSIAN = re.compile(r"[^\x00-\x7fА-яЁё№«»–]|[а-яё][А-ЯЁ]|[A-Za-z][А-яЁё]|[А-яЁё][A-Za-z]")


def decode_table(data: bytes, name: str, encoding: str = "") -> tuple[str, str]:
    """The text of a table, and the encoding that it was read in.

    UTF-8, and Unicode with a byte order mark, are known by their bytes. cp932 (Shift JIS, Japanese) or cp1252 (Western
    European) is taken where no other encoding gives words that make sense.

    Args:
        data: the file's bytes.
        name: of the file, for the messages.
        encoding: the name of the encoding; empty to find it.

    Raises:
        ManifestError: the encoding is unknown or does not fit; several or none fit. The message names what was tried,
            and nothing of the text.
    """
    if encoding:
        return _as_told(data, name, encoding)
    for mark, marked in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _as_told(data, name, marked)
    if b"\0" in data:
        return _unmarked_utf16(data, name)
    text = _strict(data, "utf-8")
    if text is not None:
        return text, "utf-8"
    fitting = fitting_encodings(data)
    if len(fitting) == 1 and fitting[0] in _TAKEN:
        return data.decode(fitting[0]), fitting[0]
    found = f"these fit: {', '.join(map(_told, fitting))}" if fitting else "none of them fits"
    tried = ", ".join(("utf-8", *_TAKEN, *_RIVALS))
    raise ManifestError(
        f"{name} is not UTF-8 (row {_row_of_first_fault(data)}); tried {tried}; {found}. "
        "Say which with --encoding (cp932 Japanese, cp1252 Western European, gb18030 Chinese, cp949 Korean), or save "
        "the table as 'CSV UTF-8'."
    )


def fitting_encodings(data: bytes) -> list[str]:
    """The encodings of those that are tried in which bytes that are no UTF-8 make words."""
    texts = {name: text for name in (*_TAKEN, *_RIVALS) if (text := _strict(data, name)) is not None}
    fitting = {name: text for name, text in texts.items() if _makes_sense(name, text)}
    if "cp1252" in fitting:
        fitting = {name: text for name, text in fitting.items() if not _SPOILT_WORD.search(_wide(text))}
    return list(fitting)


def _makes_sense(encoding: str, text: str) -> bool:
    if encoding == "cp1252":
        quotes_are_paired = text.count("“") in (text.count("”"), text.count("„")) and text.count("«") == text.count("»")
        return quotes_are_paired and not _NOT_WESTERN.search(_WESTERN_PAIRS.sub("xx", text))
    if encoding == "cp1251":
        return not _NOT_RUSSIAN.search(text)
    return not _VOICELESS.search(text) and not any(unicodedata.category(letter) in ("Co", "Cc", "Cn") for letter in
                                                   set(text) - set("\t\r\n"))  # fmt: skip


def _wide(text: str) -> str:
    """The text with half-width kana in full width, and without wide punctuation, which may touch any letter."""
    return re.sub(r"[^\w\s]", " ", unicodedata.normalize("NFKC", text))


def _as_told(data: bytes, name: str, encoding: str) -> tuple[str, str]:
    try:
        codec = codecs.lookup(encoding)
    except LookupError:
        codec = None
    if codec is None or not codec._is_text_encoding:
        raise ManifestError(
            f"{name}: encoding {encoding!r} is unknown; expected a name that Python knows, such as utf-8, cp932, "
            "cp1252, gb18030, cp949 or utf-16"
        )
    try:
        text = data.decode(codec.name)
    except UnicodeError as error:
        place = f"byte {error.start}" if isinstance(error, UnicodeDecodeError) else "its beginning"
        raise ManifestError(
            f"{name} is not {encoding} (at {place}); name another --encoding, or save the table as 'CSV UTF-8'."
        ) from None  # the cause quotes bytes of the table
    return text.removeprefix("\ufeff"), codec.name


def _unmarked_utf16(data: bytes, name: str) -> tuple[str, str]:
    """UTF-16 without its mark, where one order of bytes gives mostly ASCII and the other does not."""
    texts = {order: text for order in ("utf-16-le", "utf-16-be") if (text := _strict(data, order)) is not None}
    fitting = [
        order
        for order, text in texts.items()
        if "\0" not in text and sum(letter.isascii() for letter in text) > len(text) / 3
    ]
    if len(fitting) == 1:
        return texts[fitting[0]], fitting[0]
    raise ManifestError(
        f"{name} cannot be read as a table (it holds NUL bytes); tried utf-8, utf-16-le, utf-16-be. Say which with "
        "--encoding, or save it again as 'CSV UTF-8' or as an Excel workbook."
    )


def _strict(data: bytes, encoding: str) -> str | None:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        return None


def _row_of_first_fault(data: bytes) -> int:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return data.count(b"\n", 0, error.start) + 1
    return 1


def _told(encoding: str) -> str:
    """As --encoding takes it: the larger set of the same kind."""
    return {"gb2312": "gb18030", "euc_kr": "cp949"}.get(encoding, encoding)
