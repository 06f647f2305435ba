"""Scenes for the detector's rolled branch: photos in a grid, once upright and once rolled.

The teacher reads the upright scene. Parts of it are then turned, the whole by quarters and discs
within it by any angle, and the teacher's maps are turned along: they are the student's targets.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pyarrow.parquet as pq
import torch
import torch.nn.functional as F
from torch import Tensor

from simswap.models.detector import STRIDES, LevelMaps

CANVAS_SIZE = 320  # px
GRIDS = (1, 1, 2, 2, 3, 4, 6, 9)  # photos per row and column; faces come out 14 to 300 px wide
UPRIGHT_BELOW, ROLLED_ABOVE = 12.0, 28.0  # degrees; between them the rolled branch fades in


@dataclass(frozen=True)
class PhotoStore:
    """Training photos in memory: uint8 [H, W, 3] RGB, and the [2] middle of each face."""

    images: list[np.ndarray]
    centres: list[np.ndarray]

    @classmethod
    def load(cls, folder: Path, num_photos: int, seed: int) -> PhotoStore:
        """A seeded sample of about `num_photos`, alike from every parquet shard in `folder`.

        Of the tight crops among them most are left out: they show too little besides the face.
        """
        shards = sorted(folder.glob("*.parquet"))
        random = np.random.RandomState(seed)
        images, centres = [], []
        for shard in shards:
            table = pq.read_table(shard, columns=["image", "landmarks", "origin"])
            rows = random.permutation(table.num_rows)[: num_photos // len(shards) + 1]
            for row in table.take(rows).to_pylist():
                if row["origin"] == "glint360k-sample" and random.rand() < 0.7:
                    continue
                encoded = np.frombuffer(row["image"]["bytes"], np.uint8)
                image = cv2.imdecode(encoded, cv2.IMREAD_COLOR)
                images.append(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
                centres.append(np.asarray(row["landmarks"], np.float64).reshape(5, 2).mean(0))
        return cls(images, centres)


class SceneBatch(NamedTuple):
    """Scenes, and how their parts were turned; part 0 is what lies in no disc.

    upright, rolled: [B, 3, S, S] float32 RGB in [0, 1].
    part: [B, S, S] int64: the part of the scene that each pixel of `rolled` belongs to.
    transforms: [B, P, 2, 3] rotations from `upright` to `rolled` pixels; rolls: [B, P] degrees.
    """

    upright: Tensor
    rolled: Tensor
    part: Tensor
    transforms: Tensor
    rolls: Tensor


class TurnedTargets(NamedTuple):
    """The teacher's maps of one stride, turned into the rolled scene.

    confidence: [B, 2, h, w] probabilities, 0 on upright heads.
    boxes: [B, 4, h, w] as in LevelMaps; weight: [B, 1, h, w], how much the box counts there.
    """

    confidence: Tensor
    boxes: Tensor
    weight: Tensor


class SceneMaker:
    """Draws scenes from a seed, one after the other."""

    def __init__(self, photos: PhotoStore, seed: int) -> None:
        self.photos = photos
        self.random = np.random.RandomState(seed)

    def batch(self, size: int) -> SceneBatch:
        """The next `size` scenes."""
        scenes = [self._scene() for _ in range(size)]
        upright, rolled, part, transforms, rolls = zip(*scenes, strict=True)
        return SceneBatch(
            torch.from_numpy(np.stack(upright)).permute(0, 3, 1, 2).float() / 255,
            torch.from_numpy(np.stack(rolled)).permute(0, 3, 1, 2).float() / 255,
            torch.from_numpy(np.stack(part)).long(),
            torch.nn.utils.rnn.pad_sequence([torch.tensor(x).float() for x in transforms], True),
            torch.nn.utils.rnn.pad_sequence([torch.tensor(x).float() for x in rolls], True),
        )

    def _scene(self) -> tuple[np.ndarray, ...]:
        grid = GRIDS[self.random.randint(len(GRIDS))]
        edges = np.linspace(0, CANVAS_SIZE, grid + 1).round().astype(int)
        spans = [slice(start, stop) for start, stop in pairwise(edges)]
        tiles = [(rows, columns) for rows in spans for columns in spans]
        upright = np.empty((CANVAS_SIZE, CANVAS_SIZE, 3), np.uint8)
        for tile in tiles:
            upright[tile] = self._photo(*upright[tile].shape[:2])
        upright = self._degrade(upright)
        share = self.random.choice((0.0, 0.8))  # of tiles with a disc turned by its own angle
        turned = [tile for tile in tiles if self.random.rand() < share]
        angles = self.random.uniform(-180, 180, len(turned))
        rolled, part, transforms = _turn_discs(upright, turned, angles)
        quarters = self.random.randint(4)
        # np.rot90 takes (x, y) to (y, S - 1 - x): a quarter anticlockwise.
        quarter = np.array([[0, 1, 0], [-1, 0, CANVAS_SIZE - 1], [0, 0, 1.0]])
        transforms = (np.linalg.matrix_power(quarter, quarters) @ transforms)[:, :2]
        rolls = (np.append(0, angles) - 90 * quarters + 180) % 360 - 180
        return upright, np.rot90(rolled, quarters), np.rot90(part, quarters), transforms, rolls

    def _photo(self, height: int, width: int) -> np.ndarray:
        """A random photo, mirrored or not: its face, or now and then its background."""
        i = self.random.randint(len(self.photos.images))
        image, centre = self.photos.images[i], self.photos.centres[i]
        side = min(image.shape[:2])
        if self.random.rand() < 0.12:
            zoom, shift = self.random.uniform(2, 4), 0.5
        else:
            zoom, shift = np.exp(self.random.uniform(np.log(0.8), np.log(1.7))), 0.12
        centre = centre + self.random.uniform(-shift, shift, 2) * side
        scale = max(height, width) / side * zoom
        if scale < 0.5:  # averaged down first, or the warp would alias
            shrunk = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            image, centre, scale = shrunk, centre * scale, 1.0
        mirror = self.random.choice((-1.0, 1.0))
        linear = np.diag([mirror * scale, scale])
        offset = np.array([width / 2, height / 2]) - linear @ centre
        return cv2.warpAffine(
            image,
            np.column_stack([linear, offset]),
            (width, height),
            flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )

    def _degrade(self, image: np.ndarray) -> np.ndarray:
        """Now and then: other exposure, no colour, blur, noise."""
        random = self.random
        if random.rand() < 0.5:
            gain, bias = random.uniform(0.6, 1.3), random.uniform(-25, 25)
            image = cv2.convertScaleAbs(image, alpha=gain, beta=bias)
        if random.rand() < 0.1:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        if random.rand() < 0.15:
            image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.5, 1.5))
        if random.rand() < 0.15:
            noise = random.standard_normal(image.shape) * random.uniform(2, 12)
            image = np.clip(image + noise, 0, 255).astype(np.uint8)
        return image


def _turn_discs(
    upright: np.ndarray, tiles: list[tuple[slice, slice]], angles: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turns the disc within each tile clockwise: the scene, its parts, [1 + tiles, 3, 3]."""
    rolled = upright.copy()
    part = np.zeros(upright.shape[:2], np.int64)
    transforms = [np.eye(3)]
    for (rows, columns), angle in zip(tiles, angles, strict=True):
        centre = (columns.start + columns.stop - 1) / 2, (rows.start + rows.stop - 1) / 2
        transform = cv2.getRotationMatrix2D(centre, -angle, 1.0)
        origin = np.array([columns.start, rows.start])
        within_tile = transform.copy()
        within_tile[:, 2] += transform[:, :2] @ origin - origin
        tile = upright[rows, columns]
        height, width = tile.shape[:2]
        y, x = np.mgrid[:height, :width]
        radius = (min(height, width) - 1) / 2
        disc = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) <= radius
        rolled[rows, columns][disc] = cv2.warpAffine(tile, within_tile, (width, height))[disc]
        part[rows, columns][disc] = len(transforms)
        transforms.append(np.vstack([transform, [0, 0, 1]]))
    return rolled, part, np.stack(transforms)


def turn_targets(teacher: tuple[LevelMaps, ...], batch: SceneBatch) -> tuple[TurnedTargets, ...]:
    """The teacher's maps of `batch.upright` -> what it would say of `batch.rolled`, per stride."""
    levels = zip(teacher, STRIDES, strict=True)
    return tuple(_turn_level(maps, stride, batch) for maps, stride in levels)


def _turn_level(maps: LevelMaps, stride: int, batch: SceneBatch) -> TurnedTargets:
    """Each cell looks up the cell whence its pixel came; angles and lengths are turned after."""
    height, width = maps.boxes.shape[-2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    cells = torch.stack([columns, rows], dim=-1).float()  # [h, w, 2]
    part = batch.part[:, ::stride, ::stride]  # [B, h, w]
    scene = torch.arange(len(part))[:, None, None]
    linear, shift = batch.transforms[scene, part].split((2, 1), dim=-1)  # [B, h, w, 2, 2 and 1]
    shift = shift[..., 0] / stride
    # A rotation's inverse is its transpose.
    origin = (linear.transpose(-1, -2) @ (cells - shift)[..., None])[..., 0]
    grid = origin * 2 / torch.tensor([width - 1, height - 1]) - 1

    confidence = F.grid_sample(
        maps.confidence.sigmoid(), grid, mode="bilinear", padding_mode="border", align_corners=True
    )
    absolute = torch.cat([maps.boxes[:, :2] + cells.permute(2, 0, 1), maps.boxes[:, 2:].exp()], 1)
    absolute = F.grid_sample(  # the nearest cell's: two faces' boxes must not be averaged
        absolute, grid, mode="nearest", padding_mode="border", align_corners=True
    )
    centre, size = absolute.permute(0, 2, 3, 1).split(2, dim=-1)  # 2 x [B, h, w, 2]
    centre = (linear @ centre[..., None])[..., 0] + shift - cells
    size = (linear * size[..., None, :]).norm(dim=-1)  # of the ellipse within the box, turned
    rolls = batch.rolls[scene, part][:, None].abs()
    rolledness = ((rolls - UPRIGHT_BELOW) / (ROLLED_ABOVE - UPRIGHT_BELOW)).clamp(0, 1)
    confidence = confidence * rolledness
    score = confidence.prod(dim=1, keepdim=True).sqrt()
    boxes = torch.cat([centre, size.log()], dim=-1).permute(0, 3, 1, 2)
    return TurnedTargets(confidence, boxes, torch.where(score > 0.25, score, 0.0))
