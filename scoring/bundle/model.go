package bundle

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/trendbuy/riskscorer/scoring/forest"
	"github.com/trendbuy/riskscorer/scoring/forest/lightgbm"
	"github.com/trendbuy/riskscorer/scoring/forest/xgboost"
)

// The libraries whose model files are read, as a manifest names them.
const (
	XGBoost  = "xgboost"
	LightGBM = "lightgbm"
)

// LoadModel reads a model file of either library, which its content tells. The trees after XGBoost's best
// iteration are kept if allTrees is set; LightGBM leaves them out of its files. A file of another kind is
// refused with what to do about it. The options bound and watch how the forest is made; the error wraps a
// *[forest.MemoryError] where it takes too much memory.
func LoadModel(data []byte, allTrees bool, o forest.Options) (*forest.Forest, error) {
	library, err := libraryOf(data)
	if err != nil {
		return nil, err
	}
	if library == LightGBM {
		return lightgbm.Load(data, lightgbm.Options{Forest: o})
	}
	return xgboost.Load(data, xgboost.Options{AllTrees: allTrees, Forest: o})
}

// libraryOf names the library that wrote a model file.
func libraryOf(data []byte) (string, error) {
	begins := func(prefixes ...string) bool {
		for _, p := range prefixes {
			if bytes.HasPrefix(data, []byte(p)) {
				return true
			}
		}
		return false
	}
	holds := func(word string) bool { return bytes.Contains(data, []byte(word)) }
	switch {
	case len(data) == 0:
		return "", errors.New("the model file is empty")
	case begins("tree\n", "tree\r\n"):
		return LightGBM, nil
	case begins("CBM1"), begins("{") && holds(`"oblivious_trees"`):
		return "", errors.New("it is a CatBoost model, which is not read here; train with XGBoost or LightGBM, and make a bundle with training/export.sh")
	case begins("{") && holds(`"tree_info"`) && !holds(`"learner"`):
		return "", errors.New("it is what LightGBM's dump_model returns, which cannot be loaded; save the model with Booster.save_model(\"model.txt\")")
	case begins("{"):
		return XGBoost, nil
	case begins("binf", "bs64\t", "\x00\x00\x00\x3f"):
		return "", errors.New("it is in the binary format of old XGBoost; load it with XGBoost before 3.1 and save it with Booster.save_model(\"model.ubj\")")
	case begins("\x80\x02", "\x80\x03", "\x80\x04", "\x80\x05", "ccopy_reg\n", "ccopyreg\n"):
		return "", pickleError(holds)
	case begins("\x1f\x8b", "PK\x03\x04", "BZh", "\xfd7zXZ", "\x28\xb5\x2f\xfd", "\x78\x01", "\x78\x9c", "\x78\xda"):
		return "", errors.New("it is compressed; unpack it, or if it is a pickle of joblib, " + exportPickle)
	}
	return "", errors.New("it is no model file that is read here: XGBoost's JSON or UBJSON, or LightGBM's text, as Booster.save_model writes them")
}

// exportPickle is what to do with a pickle.
const exportPickle = "make a bundle of it with training/export.sh --trust-pickle --model FILE"

// pickleError names the export of the library whose names are in the pickle. The file is never unpickled: that
// would run its code.
func pickleError(holds func(string) bool) error {
	export := exportPickle
	switch {
	case holds("lightgbm"):
		export += ", or load it in Python and save the model with Booster.save_model(\"model.txt\"), model.booster_.save_model for the scikit-learn classes"
	case holds("xgboost"):
		export += ", or load it in Python and save the model with its save_model(\"model.ubj\")"
	case holds("catboost"):
		export = "CatBoost models are not read here either: train with XGBoost or LightGBM, and " + exportPickle
	case holds("sklearn"):
		export = "scikit-learn's own models are not read here either: train with XGBoost or LightGBM, and " + exportPickle
	}
	return fmt.Errorf("it is a pickle, which runs code when it is loaded and is never read here; %s", export)
}
