#!/usr/bin/python3
"""Creates unicode-forms.txt: what the four Unicode normalization forms need, from Python's Unicode data.

.NET's string.Normalize returns its input if InvariantGlobalization is set, and the worker has no ICU. All numbers are
hexadecimal. Characters newer than Unicode 9 are left out, and the section "recent" lists characters newer than Unicode 8
or 9 (first-last=version): Hugging Face's tokenizers use tables of these versions, so that models were trained with
them. Ages are from Perl. The other sections: combining classes (first-last=class), full canonical decompositions
(character=sequence), full compatibility decompositions that differ from them, and primary composites
(first+second=character). Hangul syllables are computed.
Run: /usr/bin/python3 src/Worker/Generation/Tokenization/Unicode/make-unicode-forms.py
"""
import pathlib
import subprocess
import textwrap
import unicodedata as u


def sequence(text):
    return "+".join(f"{ord(c):X}" for c in text)


def newer_than(version):
    """Returns the characters that a version of Unicode does not have, also those that are not assigned yet."""
    script = r'for (0..0x10FFFF) { printf "%x\n", $_ if !($_ >= 0xD800 && $_ <= 0xDFFF) && chr =~ /\P{Present_In: ' \
        + version + r'}/ }'
    lines = subprocess.run(["perl", "-e", script], capture_output=True, text=True, check=True).stdout.split()
    return {int(line, 16) for line in lines}


newer = newer_than("9.0")
classes, canonical, compatibility, composites = [], [], [], []
for code in range(0x110000):
    c = chr(code)
    if code in newer:
        continue
    if combining := u.combining(c):
        if classes and classes[-1][1:] == [code - 1, combining]:
            classes[-1][1] = code
        else:
            classes.append([code, code, combining])
    if 0xAC00 <= code <= 0xD7A3 or 0xD800 <= code <= 0xDFFF:
        continue
    nfd, nfkd, primary = u.normalize("NFD", c), u.normalize("NFKD", c), u.decomposition(c).split()
    if nfd != c:
        canonical.append(f"{code:X}={sequence(nfd)}")
    if nfkd != nfd:
        compatibility.append(f"{code:X}={sequence(nfkd)}")
    if len(primary) == 2 and not primary[0].startswith("<") and u.normalize("NFC", nfd) == c:
        composites.append(f"{int(primary[0], 16):X}+{int(primary[1], 16):X}={code:X}")
recent = []
for code in sorted(newer_than("8.0")):
    version = 9 if code in newer else 8
    if recent and recent[-1][1:] == [code - 1, version]:
        recent[-1][1] = code
    else:
        recent.append([code, code, version])
sections = {
    "recent": [f"{first:X}-{last:X}={version}" for first, last, version in recent],
    "classes": [f"{first:X}-{last:X}={value:X}" for first, last, value in classes],
    "canonical": canonical,
    "compatibility": compatibility,
    "composites": composites,
}
lines = [f"# Unicode {u.unidata_version}, created by make-unicode-forms.py"]
for name, items in sections.items():
    lines += [f":{name}", *textwrap.wrap(" ".join(items), 120, break_long_words=False, break_on_hyphens=False)]
pathlib.Path(__file__).with_name("unicode-forms.txt").write_text("\n".join(lines) + "\n", encoding="ascii")
