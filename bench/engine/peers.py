"""The Python child of the engine benchmark: one peer, one model, one thread.

It obeys lines on standard input, and answers each with one line on standard output, as ours/main.go does:
  load PEER FOLDER              -> ok VERSION
  run WORK ROWS-PER-CALL CALLS  -> nanoseconds of processor time a row
  answer WORK ROWS FILE         -> ok, and the answers in the file, as little-endian float64 values
WORK is score (margins) or explain (SHAP contributions in margin units, bias left out). What fails answers "fail REASON".

A peer is a class with VERSION, and a method for each work it does, which prepares a call: whatever can be made before
the rows are asked for is made there, and only the returned function is timed.
"""

import ctypes
import json
import math
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np

Call = Callable[[], np.ndarray]
PIECES = 4096  # calls prepared, so that a branch predictor cannot learn the rows by heart


class XGBoost:
    """XGBoost's C API, without the Python package's checks: inplace prediction, and contributions from a DMatrix."""

    def __init__(self, folder: Path, features: int):
        import xgboost

        self.version = version("xgboost-cpu")
        self.xgboost, self.lib = xgboost, xgboost.core._LIB
        self.booster = xgboost.Booster({"nthread": 1}, model_file=folder / "model.ubj")

    def _config(self, kind: int) -> bytes:
        return json.dumps({"type": kind, "training": False, "iteration_begin": 0, "iteration_end": 0,
                           "strict_shape": False, "cache_id": 0, "missing": float("nan")}).encode()

    def _call(self, function, source, config: bytes, rows: int, *proxy) -> Call:
        shape, dims, result = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64(), ctypes.POINTER(ctypes.c_float)()
        out = (ctypes.byref(shape), ctypes.byref(dims), ctypes.byref(result))

        def call():
            if function(self.booster.handle, source, config, *proxy, *out):
                raise RuntimeError(self.lib.XGBGetLastError().decode())
            return np.ctypeslib.as_array(result, (rows, math.prod(shape[1 : dims.value])))

        return call

    def score(self, rows: np.ndarray) -> Call:
        rows = rows.astype(np.float32)
        interface = rows.__array_interface__
        keys = ("data", "shape", "typestr", "version")
        source = json.dumps({key: interface[key] for key in keys}).encode()
        call = self._call(self.lib.XGBoosterPredictFromDense, source, self._config(1), len(rows), None)
        call.keep = rows
        return call

    def explain(self, rows: np.ndarray) -> Call:
        matrix = self.xgboost.DMatrix(rows.astype(np.float32), nthread=1)
        call = self._call(self.lib.XGBoosterPredictFromDMatrix, matrix.handle, self._config(2), len(rows))
        call.keep = matrix
        return lambda: call()[:, :-1]


class LightGBM:
    """LightGBM's C API; a single row goes through its fast path."""

    def __init__(self, folder: Path, features: int):
        import lightgbm

        self.version = version("lightgbm")
        self.lib, self.features = lightgbm.basic._LIB, features
        self.booster = lightgbm.Booster(model_file=str(folder / "model.txt"))
        self.fast: dict[int, ctypes.c_void_p] = {}

    def _prepare(self, rows: np.ndarray, kind: int, width: int) -> Call:
        rows = np.ascontiguousarray(rows, np.float64)
        out, n = np.empty((len(rows), width)), ctypes.c_int64()
        source, into = rows.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.POINTER(ctypes.c_double))
        config, float64 = ctypes.c_char_p(b"num_threads=1"), 1
        if len(rows) == 1:
            if kind not in self.fast:
                self.fast[kind] = ctypes.c_void_p()
                self._check(self.lib.LGBM_BoosterPredictForMatSingleRowFastInit(
                    self.booster._handle, kind, 0, -1, float64, self.features, config, ctypes.byref(self.fast[kind])))
            arguments = (self.lib.LGBM_BoosterPredictForMatSingleRowFast, self.fast[kind], source, ctypes.byref(n), into)
        else:
            arguments = (self.lib.LGBM_BoosterPredictForMat, self.booster._handle, source, float64, len(rows), self.features,
                         1, kind, 0, -1, config, ctypes.byref(n), into)

        def call(rows=rows):
            self._check(arguments[0](*arguments[1:]))
            return out

        return call

    def _check(self, code: int) -> None:
        if code:
            self.lib.LGBM_GetLastError.restype = ctypes.c_char_p
            raise RuntimeError(self.lib.LGBM_GetLastError().decode())

    def score(self, rows: np.ndarray) -> Call:
        return self._prepare(rows, 1, 1)

    def explain(self, rows: np.ndarray) -> Call:
        call = self._prepare(rows, 3, self.features + 1)
        return lambda: call()[:, :-1]


class Treelite:
    """Treelite's interpreter, GTIL."""

    def __init__(self, folder: Path, features: int):
        import treelite

        self.version = version("treelite")
        self.gtil, self.model = treelite.gtil, treelite.frontend.load_xgboost_model(folder / "model.json")

    def score(self, rows: np.ndarray) -> Call:
        rows = rows.astype(np.float32)
        return lambda: self.gtil.predict(self.model, rows, nthread=1, pred_margin=True)


class TL2cgen:
    """Trees as C code, compiled by the system's compiler."""

    def __init__(self, folder: Path, features: int):
        import tl2cgen
        import treelite

        self.version, self.tl2cgen = version("tl2cgen"), tl2cgen
        library = folder / f"tl2cgen-{self.version}.so"
        if not library.exists():
            tl2cgen.export_lib(treelite.frontend.load_xgboost_model(folder / "model.json"), toolchain="gcc", libpath=library,
                               params={"parallel_comp": 16}, options=["-O2"])
        self.predictor = tl2cgen.Predictor(library, nthread=1)

    def score(self, rows: np.ndarray) -> Call:
        matrix = self.tl2cgen.DMatrix(rows.astype(np.float32), dtype="float32")
        return lambda: self.predictor.predict(matrix, pred_margin=True)


class LLeaves:
    """Trees compiled by LLVM."""

    def __init__(self, folder: Path, features: int):
        import lleaves

        self.version = version("lleaves")
        self.model = lleaves.Model(model_file=str(folder / "model.txt"))
        self.model.compile(cache=folder / f"lleaves-{self.version}.bin", raw_score=True)

    def score(self, rows: np.ndarray) -> Call:
        rows = np.ascontiguousarray(rows, np.float64)
        return lambda: self.model.predict(rows, n_jobs=1)


class ONNXRuntime:
    """A TreeEnsembleRegressor in ONNX Runtime's CPU provider."""

    def __init__(self, folder: Path, features: int):
        import onnxruntime

        self.version = version("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])

    def score(self, rows: np.ndarray) -> Call:
        feed = {"rows": rows.astype(np.float32)}
        return lambda: self.session.run(None, feed)[0]


def plain_trees(folder: Path) -> dict:
    """The model as shap and fasttreeshap take trees of any origin; they would hand an XGBoost model back to XGBoost."""
    from models import read_trees

    trees, base = read_trees(folder)
    return {"base_offset": float(base), "internal_dtype": np.float64, "input_dtype": np.float64, "trees": [
        {"children_left": t.left, "children_right": t.right, "children_default": np.where(t.default_left, t.left, t.right),
         "features": t.feature, "thresholds": t.at_most.astype(float), "node_sample_weight": t.cover.astype(float),
         "values": np.where(t.left < 0, t.threshold, 0).astype(float).reshape(-1, 1)} for t in trees]}


class Shap:
    """shap's C extension."""

    def __init__(self, folder: Path, features: int):
        import shap

        self.version = version("shap")
        self.explainer = shap.TreeExplainer(plain_trees(folder), feature_perturbation="tree_path_dependent")

    def explain(self, rows: np.ndarray) -> Call:
        return lambda: self.explainer.shap_values(rows, check_additivity=False)


class FastTreeSHAP:
    """FastTreeSHAP version 2."""

    def __init__(self, folder: Path, features: int):
        import fasttreeshap

        self.version = version("fasttreeshap")
        self.explainer = fasttreeshap.TreeExplainer(plain_trees(folder), algorithm="v2", n_jobs=1)

    def explain(self, rows: np.ndarray) -> Call:
        return lambda: self.explainer.shap_values(rows, check_additivity=False)


class TreeShap:
    """treeshap-rs. It refuses the JSON of XGBoost 3: default_left are numbers, base_score is an array."""

    def __init__(self, folder: Path, features: int):
        import treeshap

        self.version = version("treeshap")
        self.explainer = treeshap.ShapExplainer(treeshap.TreeEnsemble.from_file(str(folder / "model.txt"), "lgbm"))

    def explain(self, rows: np.ndarray) -> Call:
        rows = np.ascontiguousarray(rows, np.float64)
        return lambda: self.explainer.explain(rows).shap_values


PEERS = {"xgboost": XGBoost, "lightgbm": LightGBM, "treelite": Treelite, "tl2cgen": TL2cgen, "lleaves": LLeaves,
         "onnxruntime": ONNXRuntime, "shap": Shap, "fasttreeshap": FastTreeSHAP, "treeshap": TreeShap}


class Child:
    """The state between two lines."""

    def load(self, name: str, folder: str) -> str:
        from models import MODELS, read_rows

        features = next(model.features for model in MODELS if model.name == Path(folder).name)
        self.rows = read_rows(Path(folder), features)
        self.peer = PEERS[name](Path(folder), features)
        self.prepared: dict[tuple[str, int], list[Call]] = {}
        return "ok " + self.peer.version

    def run(self, work: str, batch: str, calls: str) -> str:
        n, key = int(batch), (work, int(batch))
        if key not in self.prepared:
            starts = range(0, len(self.rows) - n + 1, n)[:PIECES]
            self.prepared[key] = [getattr(self.peer, work)(self.rows[i:i + n]) for i in starts]
        prepared = self.prepared[key]
        start = time.process_time_ns()  # of the one thread: what else the machine does shows little
        for i in range(int(calls)):
            prepared[i % len(prepared)]()
        return f"{(time.process_time_ns() - start) / (int(calls) * n):.3f}"

    def answer(self, work: str, rows: str, file: str) -> str:
        np.asarray(getattr(self.peer, work)(self.rows[:int(rows)])(), "<f8").tofile(file)
        return "ok"


def main() -> None:
    # What a library prints must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    child = Child()
    for line in sys.stdin:
        command, *arguments = line.split()
        try:
            print({"load": child.load, "run": child.run, "answer": child.answer}[command](*arguments), file=answers)
        except Exception as error:  # whatever a peer cannot do is the page's to say
            print("fail", f"{type(error).__name__}: {error}".splitlines()[0], file=answers)


if __name__ == "__main__":
    main()
