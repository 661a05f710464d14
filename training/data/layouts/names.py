"""What the names of folders and files say of the images in them, in the habits of the field.

A name is compared without case and accents, word by word: `NG_images`, `02_defect`, `not-good`,
`n.i.O.`; a word is never found inside another one, as in `goodyear` or `testament`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Flag, auto
from functools import lru_cache
from unicodedata import combining, normalize


class Role(Flag):
    """What a name says; a name may say several things, such as `test_good`."""

    NOTHING = 0
    TRAIN = auto()  # or validation
    TEST = auto()
    MASK = auto()
    NORMAL = auto()
    DEFECTIVE = auto()
    DOUBTFUL = auto()  # a kind of damage, or tests or masks among other words: a product may be


WORDS = {
    Role.TRAIN: "train training trainings val valid validation",
    Role.TEST: "eval evaluation test testing tests",
    Role.MASK: (
        "annot annotation annotations groundtruth groundtruths gt gts heatmap heatmaps label "
        "labels mask masks overlay overlays seg segmentation segmentations segs truth truths"
    ),
    Role.NORMAL: (
        "accept accepted bon bons bueno buenos buoni buono clean conform conforme conforming "
        "fehlerfrei flawless good gut gute guten intact io nondefective normal normals ok okay "
        "oks pass passed perfect undamaged"
    ),
    Role.DEFECTIVE: (
        "abnormal anomal anomalies anomalous anomaly ausschuss bad broken damage damaged damages "
        "def defaut defauts defect defected defective defects defecto defectos defectuoso "
        "defectuosos defekt defekte difetti difetto difettosi difettoso error errors fail failed "
        "fails failure failures fault faults faulty fehler fehlerhaft fehlerhafte flaw flawed "
        "flaws incorrect invalid ko mangel mangelhaft mauvais ng ngs nio nogood nok noks "
        "nonconforme nonconforming notgood notok rebut rebuts rechazado rechazados reject "
        "rejected rejects scarti scarto schlecht schlechte scrap scrapped unacceptable"
    ),
    Role.DOUBTFUL: (
        "bent borderline burr burrs chipped contaminated contamination corroded corrosion crack "
        "cracked cracks deformed delle dellen dent dented dents dirt dirty kratzer misaligned "
        "misplaced missing negative negatives outlier outliers positive positives rework riss "
        "risse rust rusty scratch scratched scratches stain stained stains suspect torn unsure"
    ),
}
ROLE_OF = {word: role for role, words in WORDS.items() for word in words.split()}
# Written without spaces, so they are found within a name, the longest first.
UNSPACED = {
    Role.TRAIN: "训练 訓練 学習",
    Role.TEST: "测试 測試 テスト 테스트",
    Role.MASK: "掩码 掩膜 标注 標注 マスク 마스크",
    Role.NORMAL: "良品 合格 正常 无缺陷 양품 정상",
    Role.DEFECTIVE: (
        "不良品 不良 不合格 非良品 缺陷 瑕疵 异常 異常 欠陥 废品 廢品 次品 불량 결함 불합격 비정상"
    ),
    Role.DOUBTFUL: "划痕 划伤 裂纹 裂痕 傷 キズ 스크래치",
}
LONGEST_FIRST = sorted(
    ((word, role) for role, words in UNSPACED.items() for word in words.split()),
    key=lambda pair: -len(pair[0]),
)
IMAGES = (
    "bild bilder data fotos images image imgs img parts part photos pictures pics samples sample "
    "set sets teile teil"
)
# Beside a word that says something, these say no more.
FILLING = (
    "all back batch bottom cam camera class copy crop crops dataset day files folder front ground "
    "kopie left line lot mixed neu new of old only piece pieces private public raw real right "
    "shift side station top type unit units view"
)
BEFORE = "kein keine keinen n nicht no non not ohne sans senza sin without zero"
AFTER = "free frei"
NEGATING_NEXT, NEGATING_LAST = frozenset(BEFORE.split()), frozenset(AFTER.split())
ENDINGS = tuple(IMAGES.split())
SILENT = frozenset(" ".join((IMAGES, FILLING, BEFORE, AFTER, "0")).split())
SAID_OF_FILES = frozenset({"bad", "broken", "damaged", "error", "errors", "fail", "failed"})
OPPOSITE = {Role.NORMAL: Role.DEFECTIVE, Role.DEFECTIVE: Role.NORMAL}
EITHER = Role.DEFECTIVE | Role.DOUBTFUL  # said by one word among others
SPLIT = Role.TRAIN | Role.TEST

CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"
PARTS = re.compile(rf"[{CJK}]+|(?:(?![{CJK}])[^\W_])+")
INITIALS = re.compile(r"(?<![^\W_])([^\W\d_])[\W_]+(?=[^\W\d_](?![^\W_]))")  # n.i.O. is one word
HUMPS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)  # 41d4-bad0
DIGITS = "0123456789"


@lru_cache(maxsize=1024)
def role_of_folder(name: str) -> Role:
    """What the name of a folder says of all that lies below it."""
    said, whole = _said(_words(name))
    if whole:
        return said
    return said & EITHER | (Role.DOUBTFUL if said & (Role.TEST | Role.MASK) else Role.NOTHING)


@lru_cache(maxsize=1024)
def role_of_file(stem: str) -> Role:
    """What the name of an image says of it, apart from splits and masks, which folders tell."""
    said, whole = _said(_words(stem))
    return said & (EITHER | Role.NORMAL if whole else EITHER)


def surely_defective(stem: str) -> bool:
    """Whether the name of an image calls the part defective, and not perhaps the file itself."""
    return Role.DEFECTIVE in _said([word for word in _words(stem) if word not in SAID_OF_FILES])[0]


def unmasked(stem: str) -> str | None:
    """The stem of the image that a file is the mask of by its name, `000_mask`; None if of none."""
    match re.split(r"[\W_]+", stem):
        case [*_, _, last] if ROLE_OF.get(last.casefold()) is Role.MASK:
            return stem[: -len(last)].rstrip("_-. ")
        case [first, _, *_] if first.casefold() in ("gt", "mask", "seg"):
            return stem[len(first) :].lstrip("_-. ")
    return None


def _said(words: Sequence[str]) -> tuple[Role, bool]:
    """All that words say together, and whether every one of them says something."""
    said, whole = Role.NOTHING, True
    for before, word, after in zip(["", *words], words, [*words[1:], ""], strict=False):
        role = ROLE_OF.get(word) or _unspaced(word)
        if before in NEGATING_NEXT or after in NEGATING_LAST:
            role = OPPOSITE.get(role, role)
        said |= role
        whole &= bool(role) or word in SILENT
    return said & ~Role.NORMAL if said & EITHER else said, whole


def _words(name: str) -> list[str]:
    """The words of a name, in lower case and without accents; each number is `0`."""
    plain = "".join(c for c in normalize("NFKD", UUID.sub("0", name)) if not combining(c))
    words: list[str] = []
    for part in PARTS.findall(INITIALS.sub(r"\1", normalize("NFC", plain))):
        bare = part.strip(DIGITS)
        word = _known(bare)
        if word or not bare:
            words.append(word or "0")
        else:  # within 3bad9f are no words
            humps = HUMPS.findall(bare) if bare.isascii() and bare.isalpha() else [bare]
            words += [_known(hump) or hump.lower() for hump in humps]
    return words


def _known(text: str) -> str | None:
    """A word of ours that the text is, with or without what is said of images at its end."""
    word = text.casefold()
    if word in ROLE_OF or word in SILENT:
        return word
    bare = (word.removesuffix(ending) for ending in ENDINGS if word.endswith(ending))
    return next((rest for rest in bare if rest in ROLE_OF), None)


def _unspaced(word: str) -> Role:
    return next((role for known, role in LONGEST_FIRST if known in word), Role.NOTHING)
