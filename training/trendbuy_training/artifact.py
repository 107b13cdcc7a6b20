"""Says what a model file is from its bytes alone: nothing is loaded, so no code of a pickle runs."""

import bz2
import lzma
import pickletools
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

# A pickle that unpacks to more than this is refused, whatever it holds.
MAX_BYTES = 1 << 30

# The last member of what XGBoost saves, and of the booster within a pickle: the version that wrote it, as JSON and UBJSON.
JSON_VERSION = re.compile(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\]')
UBJSON_VERSION = re.compile(rb"L\x00{7}\x07version\[#L\x00{7}\x03[iU](.)[iU](.)[iU](.)", re.DOTALL)

TRAIN_OTHERWISE = "riskscorer serves models of XGBoost and LightGBM alone: train with one of these"


@dataclass(frozen=True)
class Artifact:
    """A model file: whether reading it runs code, which library it needs, and which version of it wrote the file."""

    path: Path
    pickled: bool
    library: str  # xgboost or lightgbm
    version: str | None  # None where the file does not say it
    native: str  # the name in a bundle of this file, or of the one that the library saves for a pickle
    what: str  # for people


def inspect(path: Path) -> Artifact:
    """Tells what the file is; raises ValueError with what to do if it cannot become a bundle."""
    data = path.read_bytes()
    if not data:
        raise ValueError(f"{path} is empty")
    if data.startswith((b"tree\n", b"tree\r\n")):
        return Artifact(path, False, "lightgbm", None, "model.txt", "a text file of LightGBM")
    if (data.startswith(b"{") and (b'"oblivious_trees"' in data or b'"features_info"' in data)) or data.startswith(b"CBM1"):
        raise ValueError(f"{path} is a CatBoost model; {TRAIN_OTHERWISE}")
    if data.startswith(b"{") and b"learner" in data:
        file = "model.ubj" if data[1:2] in (b"L", b"i", b"U") else "model.json"  # UBJSON: the type of a key's length
        return Artifact(path, False, "xgboost", _xgboost_version(data), file, "a native file of XGBoost")
    if data.startswith((b"binf", b"bs64")):
        raise ValueError(
            f"{path} is in the binary format that XGBoost wrote before 3.1: load it with the XGBoost that wrote it, "
            'and save it with Booster.save_model("model.ubj")'
        )
    unpacked = _unpack(path, data)
    if unpacked.startswith((b"\x80", b"ccopy_reg\n", b"ccopyreg\n")):
        return _pickle(path, unpacked)
    raise ValueError(
        f"{path} is no model: it is neither a pickle, nor of joblib, nor XGBoost's JSON or UBJSON, nor LightGBM's text"
    )


def _pickle(path: Path, data: bytes) -> Artifact:
    if not data.endswith(b"."):
        raise ValueError(f"{path} ends too early for a pickle: copy it again, or dump the model again")
    name = _first_class(data) or "something"
    for library in ("xgboost", "lightgbm"):
        if any(f"{library}.{module}".encode() in data for module in ("core", "sklearn", "basic")):
            version, file = (_xgboost_version(data), "model.ubj") if library == "xgboost" else (None, "model.txt")
            return Artifact(path, True, library, version, file, f"a pickle of {name}")
    kind = "scikit-learn's" if name.startswith("sklearn.") else "CatBoost's" if name.startswith("catboost") else "no model"
    raise ValueError(f"{path} is a pickle of {name}, {kind} and neither of XGBoost nor of LightGBM; {TRAIN_OTHERWISE}")


def _first_class(data: bytes) -> str | None:
    """The first class that the pickle names, as module.Class, read without running anything.

    joblib puts arrays between the instructions, behind which nothing can be read: the class stands before.
    """
    words: list[str] = []
    try:
        for opcode, argument, _ in pickletools.genops(data):
            name = argument.replace(" ", ".") if opcode.name == "GLOBAL" else ".".join(words[-2:])
            if opcode.name in ("GLOBAL", "STACK_GLOBAL") and not name.startswith(("copyreg.", "copy_reg.", "builtins.")):
                return name
            if isinstance(argument, str):
                words.append(argument)
    except (ValueError, UnicodeDecodeError):
        pass
    return None


def _xgboost_version(data: bytes) -> str | None:
    if found := JSON_VERSION.findall(data):
        return ".".join(number.decode() for number in found[-1])
    if found := UBJSON_VERSION.findall(data):
        return ".".join(str(number[0]) for number in found[-1])
    return None


def _unpack(path: Path, data: bytes) -> bytes:
    """What joblib's compression holds, or the data if they are not compressed."""
    if data.startswith(b"\x1f\x8b"):
        decompressor = zlib.decompressobj(wbits=31)
    elif data.startswith((b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")):
        decompressor = zlib.decompressobj()
    elif data.startswith(b"BZh"):
        decompressor = bz2.BZ2Decompressor()
    elif data.startswith((b"\xfd7zXZ", b"\x5d\x00\x00")):
        decompressor = lzma.LZMADecompressor()
    elif data.startswith(b"\x04\x22\x4d\x18"):
        raise ValueError(f"{path} is compressed with LZ4: dump it again with joblib.dump(model, path, compress=3)")
    else:
        return data
    try:
        unpacked = decompressor.decompress(data, MAX_BYTES)
    except (zlib.error, OSError, lzma.LZMAError) as fault:
        raise ValueError(f"{path} is compressed and broken: {fault}") from fault
    if not decompressor.eof:
        raise ValueError(f"{path} is compressed and ends too early, or unpacks to over {MAX_BYTES} bytes")
    return unpacked
