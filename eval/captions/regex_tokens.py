"""Stanford's PTB tokens of captions without Java: close to the standard, never the same by proof.

Written from what the tokenizer of CoreNLP 3.4.1 does with short texts. `docs/caption_metrics.md` has the agreement, and
what differs: it is a choice for machines without Java and for trials, not for numbers beside published ones.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_ABBREVIATIONS: Final = (
    "adm|al|ala|apr|ariz|assn|assoc|asst|atty|aug|ave|bldg|blvd|bros|calif|capt|cf|cmdr|co|col|colo|conn|corp|cpl|ct|dak"
    "|dec|dept|dr|esq|est|etc|ext|feb|fla|fri|ft|ga|gen|gov|hon|inc|ind|intl|jan|jr|jul|jun|kan|ky|lt|ltd|maj|mar|md|messrs"
    "|mfg|mich|minn|mo|mon|mont|mr|mrs|ms|mt|natl|neb|nev|nov|oct|okla|penn|pfc|ph\\.d|pres|prof|pvt|rd|rep|reps|rev|rt"
    "|sen|sens|sep|sept|sgt|spc|sq|sr|st|ste|supt|tel|tenn|thu|thurs|treas|tue|tues|va|vs|vt|wed|wis|wyo"
)
"""They keep their full stop."""
_CAPITALS: Final = "A(?i:rk)|D(?i:el)|I(?i:ll)|L(?i:a)|M(?i:ass|iss)|O(?i:re)|P(?i:a)|T(?i:ex)|W(?i:ash)"
"""So do these where they begin with a capital."""
_NUMBERED: Final = "art|ca|fig|figs|no|nos|op|pp|prop"
"""And these before a number."""
_STARTERS: Final = (
    "A|An|The|There|Some|This|That|These|He|She|It|They|We|You|In|At|Many|One|Here|As|But|If|When|While|Her|Their|Our"
    "|What|After|However|Last|More|Now|Other|Since|So|Such|Then|Yet|According|Earlier"
)
"""Words that begin a sentence, also in capitals: a single letter before them gives up its full stop."""

# Two blanks before a fraction: 1½ is two tokens, unlike 1 1/2.
_AS_WRITTEN: Final = str.maketrans(
    {
        "\xad": "",
        "¢": " cents ",
        "£": " # ",
        "€": " $ ",
        "½": "  1/2 ",
        "¼": "  1/4 ",
        "¾": "  3/4 ",
        "⅓": "  1/3 ",
        "⅔": "  2/3 ",
    }
)
_BRACKETS: Final = str.maketrans({"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"})
_CURLY = re.compile("’(s|m|d|re|ve|ll)(?![^ ])|n’t")
_LETTER = r"[^\W\d_]"
_END = r"(?![^\W_])"
_LETTERS = rf"{_LETTER}(?:\.{_LETTER}{_END})++\.?+(?!{_LETTER})"
_BEFORE_SIGN = r"(?:\.(?=[,;:]))?"  # a full stop that another sign follows stays with its word
_ALTERNATIVES: Final = (
    # Things of the web; &nbsp; and the like are left out.
    r"(?i:https?://[^\s<>\"]+[^\s<>\".,;:!?)])",
    r"(?i:(?:[\w-]+\.)+(?:com|net|org|edu))/[^\s<>\"|(){}]+[^\s<>\"|(){}.,;:!?-]",
    r"[A-Za-z0-9][^\s\"<>|(){}]{0,99}@(?:[^\s\"<>|(){}.]+\.)*[^\s\"<>|(){}.]+",  # whatever stands about an @
    r"@[A-Za-z_]\w*|\#[A-Za-z][A-Za-z0-9]*",
    r"</?[A-Za-z!][^>\s]*>",  # a tag, such as <unk>
    r"&(?:amp|lt|gt|\#\d+);|-[LlRr][RrSsCc][Bb]-",  # its own brackets stay
    r"[<>]?[:;=][o*'-]?[()DPdpO\\{@|\[\]](?![A-Za-z0-9])",  # a face
    # Letters with full stops: u.s., a.k.a, u.s.-based; at&t; a$ (Australian); c#.
    rf"{_LETTERS}(?:-(?:{_LETTERS}|[^\W_]+))*",
    rf"[A-Z]+(?:&(?:amp;)?[A-Z]+)+{_BEFORE_SIGN}|\b[A-Z]+\$|\b[CcFf]\#",
    r"[^\W_]+(?:[-_][^\W_]+)*\.(?=[,;:])",
    # Words that are two, and contractions.
    rf"[Cc][Aa][Nn](?=[Nn][Oo][Tt]{_END})|(?i:gon|wan)(?=[Nn][Aa]{_END})|(?i:got)(?=[Tt][Aa]{_END})",
    rf"(?i:gim|lem)(?=[Mm][Ee]{_END})|['’][Tt](?=(?i:is|was){_END})",
    rf"{_LETTER}[^\W_]*?(?<![Nn])(?=[Nn]['’][Tt])",
    r"[Nn]['’][Tt][^\W_]*",
    rf"(?<!['’])['’](?i:s|m|d|re|ve|ll){_END}|’[Ss]",
    # Words with an apostrophe.
    rf"['’][Nn]['’]|['’][Ee][Mm]|['’](?i:til|cause){_END}|['’][2-9]0[Ss]{_END}|(?<!['’])['’](?:[Nn]|\d\d)(?=\s|$)",
    rf"(?i:ma['’]am|c['’]mon|c['’]est|e['’]er|ne['’]er|s['’]mores|li['’]l|nat'l|ev['’]ry|nor['’]easter){_END}",
    rf"(?i:cont['’]d)\.|(?<![^\W_])(?i:ol|dunkin|somethin)['’]{_END}|(?<![^\W_])[YyJj]['’](?={_LETTER})",
    rf"(?:[dlnoA-HJ-XZ]['’]{_LETTER}{{2,}}|{_LETTER}+[aeiouyAEIOUY]['’][aeiouAEIOU]{_LETTER}*){_BEFORE_SIGN}",
    # Words with a full stop of their own.
    rf"(?:(?i:{_ABBREVIATIONS})|{_CAPITALS})\.(?!{_LETTER})",
    rf"(?i:{_NUMBERED})\.(?=\s*\d)",
    rf"(?<![^\W_]){_LETTER}\.(?!{_LETTER})(?!\s+(?:{_STARTERS}|{_STARTERS.upper()})(?:\s|$))",
    # Numbers.
    rf"\(\d{{2,3}}\) ?\d{{3,4}}[- ]?\d{{3,5}}{_END}",  # of a telephone
    r"\d{1,4} \d{1,4}/\d{1,4}|\d{1,4}/\d{1,4}(?![^\W_]|/)(?:-[^\W\d_][^\W_]*)?",
    rf"\d+(?:[.,]\d+)*-[^\W_]+(?:[-/][^\W_]+)*|[-+]?\d*(?:[.:,]\d+)+|[-+]\d+{_END}",
    # Words: letters are joined by a sign in between, letters and digits by a hyphen or a slash.
    rf"{_LETTER}[^\W_]*\.\d+(?:-[^\W_]+)+|{_LETTER}[^\W_]*(?:[.!?]{_LETTER}[^\W_]*)+(?:-[^\W_]+)*",
    r"[^\W_]+(?:[-/_][^\W_]+)*",
    # Signs that count.
    r"_+|[!?]{2,}|\#+|\*+|<<|>>|[$()\[\]{}<>%&+=~@^|\\/©®™°§¶•·×−¥¡¦¨¬±´¸¿÷†‡‣‰′″‴※№℃℉\u2190-\u27ff]",
)
_LOOKS_AHEAD = re.compile(rf"\d\)?$|/|(?<![^\W_])(?:{_LETTER}|(?i:{_NUMBERED}))\.")
"""Chunks before whose end an alternative may ask what comes after the blank: 1 1/2, (555) 555-1234, no. 5, a letter and
a full stop."""
_TOKEN = re.compile("|".join(_ALTERNATIVES))


def tokenize(captions: Sequence[str]) -> list[str]:
    """The tokens of every caption in lower case, without punctuation, joined by blanks.

    Args:
        captions: without control characters.
    """
    return [_by_chunks(caption) for caption in captions]


def _by_chunks(caption: str) -> str:
    """As `_tokens`, chunk by chunk between blanks: few differ, and hardly one depends on its neighbours."""
    words = []
    for chunk in caption.split():
        if (found := _chunk(chunk)) is None:
            return _tokens(caption)
        if found:
            words.append(found)
    return " ".join(words)


@lru_cache(maxsize=1 << 16)
def _chunk(chunk: str) -> str | None:
    """The tokens of what stands between two blanks; None where what follows decides."""
    return None if _LOOKS_AHEAD.search(chunk.translate(_AS_WRITTEN)) else _tokens(chunk)


def _tokens(caption: str) -> str:
    plain = caption if caption.isascii() else caption.translate(_AS_WRITTEN)
    if "&" in plain:
        plain = re.sub(r"&(?:quot|nbsp);", " ", plain).replace("&apos;", "'")
    found = _TOKEN.findall(plain)
    text = " ".join([word.replace(" ", "\xa0") for word in found]).lower()
    if "&" in text:
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    if "’" in text:
        text = _CURLY.sub(lambda match: match[0].replace("’", "'"), text)
    return text.translate(_BRACKETS) if any(sign in text for sign in "()[]{}") else text
