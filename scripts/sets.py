"""Draws the picture sets that scripts/sets.sh has fetched the parts of: {train,test}/<class>/<name>.png, the classes of
train and test disjoint, three to one.

    sets.py emoji PACKAGES OUT
    sets.py glyphs FONTS OUT
"""

import collections
import concurrent.futures
import glob
import io
import json
import os
import random
import subprocess
import sys
import unicodedata

import numpy as np
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image, ImageDraw, ImageFont

SIDE = {"emoji": 64, "glyphs": 32}
# Vendors' folders and the kind of their files, by the package that has them.
VENDORS = {
    "apple": ("emoji-datasource-apple@16.0.0/img/apple/64", ".png"),
    "google": ("emoji-datasource-google@16.0.0/img/google/64", ".png"),
    "twitter": ("emoji-datasource-twitter@16.0.0/img/twitter/64", ".png"),
    "facebook": ("emoji-datasource-facebook@16.0.0/img/facebook/64", ".png"),
    "emojione": ("emojione-assets@4.5.0/png/64", ".png"),
    "fluent": ("@lobehub-fluent-emoji-3d@1.1.0/assets", ".webp"),
    "openmoji": ("openmoji@17.0.0/color/svg", ".svg"),
}
FEWEST_VENDORS = 4
FONTS_OF_A_CHARACTER = 20
# Mean difference of two drawings, of 255, below which they are one design.
SAME_DESIGN = 6


def code_of(name):
    """The code points of an emoji without variation selectors, in which vendors differ."""
    return "-".join(part for part in name.lower().split("-") if part != "fe0f").lstrip("0")


def emoji(packages, out):
    def files(folder, ending):
        names = os.listdir(f"{packages}/{folder}")
        return {code_of(name[: -len(ending)].lstrip("u")): f"{packages}/{folder}/{name}"
                for name in sorted(names, reverse=True) if name.endswith(ending)}

    vendors = {vendor: files(*place) for vendor, place in VENDORS.items()}
    with open(f"{packages}/emoji-datasource-apple@16.0.0/emoji.json") as text:
        codes = [code_of(one["unified"]) for one in json.load(text) if one["category"] != "Component"]
    drawn = {code: {vendor: found[code] for vendor, found in vendors.items() if code in found} for code in codes}
    classes = sorted((code, own) for code, own in drawn.items() if len(own) >= FEWEST_VENDORS)
    random.Random(0).shuffle(classes)

    def draw(job):
        place, (code, own) = job
        folder = f"{out}/{'train' if place < round(0.75 * len(classes)) else 'test'}/{code}"
        os.makedirs(folder, exist_ok=True)
        side = SIDE["emoji"]
        for vendor, file in own.items():
            if file.endswith(".svg"):
                command = ["rsvg-convert", "-w", str(side), "-h", str(side), file]
                file = io.BytesIO(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            picture = Image.open(file).convert("RGBA")
            picture.resize((side, side), Image.LANCZOS).save(f"{folder}/{vendor}.png")

    with concurrent.futures.ThreadPoolExecutor() as pool:
        list(pool.map(draw, enumerate(classes)))


def wanted_characters():
    """Digits and letters of Latin, Greek and Cyrillic, kana, kanji and hangul."""
    ranges = [(0x30, 0x3A), (0x41, 0x5B), (0x61, 0x7B), (0xC0, 0x180), (0x386, 0x3CF), (0x400, 0x460),
              (0x3041, 0x3097), (0x30A1, 0x30FB), (0x4E00, 0x9FA6), (0xAC00, 0xD7A4)]
    return {code for start, end in ranges for code in range(start, end)
            if unicodedata.category(chr(code)).startswith(("L", "N"))}


def characters_of(file):
    try:
        font = TTCollection(file, lazy=True).fonts[0] if file.lower().endswith(".ttc") else TTFont(file, lazy=True)
        return file, sorted(wanted_characters() & set(font.getBestCmap()))
    except Exception:  # A font without a map of characters draws none.
        return file, []


def drawing(file, code):
    """A character in a font, its longer side 26 pixels, in the middle; `None` where the font draws nothing."""
    large = Image.new("L", (160, 160))
    ImageDraw.Draw(large).text((40, 30), chr(code), font=ImageFont.truetype(file, 64), fill=255)
    box = large.getbbox()
    if not box:
        return None
    glyph = large.crop(box)
    factor = 26 / max(glyph.size)
    glyph = glyph.resize([max(1, round(side * factor)) for side in glyph.size], Image.LANCZOS)
    side = SIDE["glyphs"]
    picture = Image.new("L", (side, side))
    picture.paste(glyph, ((side - glyph.width) // 2, (side - glyph.height) // 2))
    return np.asarray(picture)


def draw_glyphs(job):
    folder, code, fonts = job
    kept = []
    for file in fonts:
        try:
            picture = drawing(file, code)
        except OSError:
            continue
        if picture is None or any(np.abs(picture.astype(int) - other).mean() < SAME_DESIGN for other in kept):
            continue
        kept.append(picture)
        if len(kept) == FONTS_OF_A_CHARACTER:
            os.makedirs(folder, exist_ok=True)
            for number, picture in enumerate(kept):
                Image.fromarray(picture).save(f"{folder}/{number:02}.png")
            return


def glyphs(fonts, out):
    files = sorted(file for file in glob.glob(f"{fonts}/**/*", recursive=True)
                   if file.lower().endswith((".ttf", ".otf", ".ttc")) and os.path.isfile(file))
    with concurrent.futures.ProcessPoolExecutor() as pool:
        fonts_of = collections.defaultdict(list)
        for file, codes in pool.map(characters_of, files, chunksize=8):
            for code in codes:
                fonts_of[code].append(file)
        # Some of a character's fonts draw it alike.
        enough = sorted(code for code, own in fonts_of.items() if len(own) >= FONTS_OF_A_CHARACTER + 4)
        draws = random.Random(0)
        kanji = [code for code in enough if 0x4E00 <= code < 0xA000]
        hangul = [code for code in enough if code >= 0xAC00]
        chosen = [code for code in enough if code < 0x4E00] + draws.sample(kanji, 500) + draws.sample(hangul, 300)
        draws.shuffle(chosen)
        jobs = []
        for place, code in enumerate(chosen):
            own = fonts_of[code][:]
            random.Random(code).shuffle(own)
            jobs.append((f"{out}/{'train' if place % 4 else 'test'}/{code:05x}", code, own[:60]))
        list(pool.map(draw_glyphs, jobs, chunksize=8))


if __name__ == "__main__":
    kind, source, out = sys.argv[1:]
    {"emoji": emoji, "glyphs": glyphs}[kind](source, out)
    for part in ["train", "test"]:
        classes = os.listdir(f"{out}/{part}")
        pictures = sum(len(os.listdir(f"{out}/{part}/{name}")) for name in classes)
        print(f"{out}/{part}: {len(classes)} classes, {pictures} pictures", file=sys.stderr)
