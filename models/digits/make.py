#!/usr/bin/python3
"""Creates digits/1/model.onnx: a CNN that recognizes one printed digit, trained on digits rendered in many fonts.

Requires Debian's python3-torch, python3-onnx, python3-pil, fontconfig and fonts. All installed font packages are used
(models/README.md lists them). Whole font families are held out for the quality figure, and the samples next to the
model use these families. Run: /usr/bin/python3 models/digits/make.py   (about 5 minutes on one core)
"""
import hashlib
import json
import pathlib
import subprocess

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import nn
from torch.nn import functional as F

HERE = pathlib.Path(__file__).parent
SIZE, GLYPH, STEPS, BATCH, SEED = 28, 40, 3000, 192, 7
# Fonts whose digits are pictures, outlines of other scripts, or dots.
UNUSABLE = ("emoji", "symbol", "glyphicons", "barcode", "braille", "awesome", "icons", "dingbats", "math", "music")
# Held-out families whose glyphs may be distributed as pictures (Bitstream Vera, OFL, LPPL, Apache, GPL with font
# exception).
SAMPLE_FAMILIES = ("Lato", "Vollkorn", "Comic Neue", "Courier Prime", "Hack", "Karla", "Oxygen", "Jura")


def font_files():
    lines = subprocess.run(["fc-list", ":scalable=true", "--format", "%{file}\t%{family[0]}\n"],
                           check=True, capture_output=True, text=True).stdout.splitlines()
    for line in sorted(set(lines)):
        path, family = line.split("\t")
        if path.endswith((".ttf", ".otf")) and not any(u in family.lower() for u in UNUSABLE):
            yield path, family


def glyph(font, digit):
    """Returns one digit, white on black, with its box scaled to fit 28 of 40 pixels."""
    left, top, right, bottom = font.getbbox(digit)
    if right - left < 4 or bottom - top < 8:
        return None
    canvas = Image.new("L", (right - left + 4, bottom - top + 4))
    ImageDraw.Draw(canvas).text((2 - left, 2 - top), digit, fill=255, font=font)
    scale = 28 / max(canvas.size)
    small = canvas.resize([max(1, round(s * scale)) for s in canvas.size], Image.LANCZOS)
    out = Image.new("L", (GLYPH, GLYPH))
    out.paste(small, ((GLYPH - small.width) // 2, (GLYPH - small.height) // 2))
    return np.asarray(out, dtype=np.float32) / 255


def load_fonts():
    """Returns [fonts, 10, 40, 40] and the family of each font, without fonts that lack ten distinct digits."""
    glyphs, families = [], []
    for path, family in font_files():
        try:
            font = ImageFont.truetype(path, 64)
            ten = [glyph(font, d) for d in "0123456789"]
        except OSError:
            continue
        if any(g is None for g in ten):
            continue
        # A font without digits draws ten equal boxes; "0" and "8" of a real one differ clearly from "1".
        if min(np.abs(ten[a] - ten[b]).mean() for a in range(10) for b in range(a)) < 0.01:
            continue
        glyphs.append(np.stack(ten))
        families.append(family)
    return torch.tensor(np.stack(glyphs)), families


def held_out(family):
    return family in SAMPLE_FAMILIES or hashlib.sha256(family.encode()).digest()[0] % 6 == 0


def augment(glyphs, random):
    """Applies shift, rotation, scale, shear, blur, contrast and noise; [n, 40, 40] to [n, 1, 28, 28]."""
    n = len(glyphs)

    def uniform(low, high):
        return torch.rand(n, generator=random) * (high - low) + low

    angle, shear = uniform(-0.26, 0.26), uniform(-0.2, 0.2)
    scale = uniform(0.85, 1.3) * SIZE / GLYPH
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([torch.stack([cos, -sin + shear * scale, uniform(-0.12, 0.12)], 1),
                         torch.stack([sin, cos, uniform(-0.12, 0.12)], 1)], 1)
    grid = F.affine_grid(theta, [n, 1, SIZE, SIZE], align_corners=False)
    x = F.grid_sample(glyphs[:, None], grid, align_corners=False)
    blurred = F.avg_pool2d(x, 3, stride=1, padding=1)
    mix = uniform(0, 0.8)[:, None, None, None]
    x = (x * (1 - mix) + blurred * mix) * uniform(0.6, 1)[:, None, None, None]
    noise = torch.randn(x.shape, generator=random) * uniform(0, 0.2)[:, None, None, None]
    return (x + noise).clamp(0, 1)


def network():
    return nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(48, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 49, 96), nn.ReLU(), nn.Linear(96, 10))


def accuracy(model, glyphs, random, rounds=4):
    right = total = 0
    with torch.no_grad():
        for _ in range(rounds):
            for digit in range(10):
                x = augment(glyphs[:, digit], random)
                right += (model(x).argmax(1) == digit).sum().item()
                total += len(x)
    return right / total, total


def export(model):
    torch.onnx.export(model, torch.zeros(1, 1, SIZE, SIZE), HERE / "1/model.onnx", opset_version=13,
                      input_names=["image"], output_names=["logits"],
                      dynamic_axes={"image": {0: "batch"}, "logits": {0: "batch"}})


def write_samples(glyphs, families):
    """Writes two digits per family, as pictures and as numbers, and one "7" as a request body."""
    folder = HERE / "samples"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    samples = []
    random = torch.Generator().manual_seed(SEED + 2)
    for i, family in enumerate(f for f in SAMPLE_FAMILIES if f in families):
        for digit in ((2 * i) % 10, (2 * i + 1) % 10, (3 * i + 7) % 10):
            image = augment(glyphs[families.index(family), digit][None], random)[0, 0]
            name = f"{digit}-{family.replace(' ', '')}"
            Image.fromarray((image.numpy() * 255).round().astype(np.uint8)).save(folder / f"{name}.png")
            values = [round(v, 3) for v in image.flatten().tolist()]
            samples.append({"digit": digit, "font": family, "image": values})
    (folder / "samples.json").write_text(json.dumps(samples, separators=(",", ":")) + "\n")
    seven = F.interpolate(glyphs[families.index("Lato"), 7][None, None], size=SIZE, mode="area")
    body = {"inputs": [{"name": "image", "shape": [1, 1, SIZE, SIZE], "datatype": "FP32",
                        "data": [round(v, 2) for v in seven.flatten().tolist()]}]}
    (HERE / "example.json").write_text(json.dumps(body, separators=(",", ":")) + "\n")
    return len(samples)


def main():
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    glyphs, families = load_fonts()
    test = torch.tensor([held_out(f) for f in families])
    train, unseen = glyphs[~test], glyphs[test]
    print(f"{len(train)} fonts to train on, {len(unseen)} held out "
          f"({len({f for f in families if held_out(f)})} of {len(set(families))} families)")
    random = torch.Generator().manual_seed(SEED)
    model = network()
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=4e-3, total_steps=STEPS)
    for step in range(STEPS):
        digits = torch.randint(10, (BATCH,), generator=random)
        fonts = torch.randint(len(train), (BATCH,), generator=random)
        loss = F.cross_entropy(model(augment(train[fonts, digits], random)), digits, label_smoothing=0.02)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 500 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    model.eval()
    share, total = accuracy(model, unseen, torch.Generator().manual_seed(SEED + 1))
    export(model)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"held-out fonts: {share:.2%} of {total} digits right; {parameters:,} parameters; "
          f"{write_samples(glyphs, families)} samples")


if __name__ == "__main__":
    main()
