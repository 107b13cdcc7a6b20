package xgboost

import "bytes"

// What a file that is not read should be replaced by.
const (
	saveAgain   = `load it with the XGBoost that wrote it, and save it again with booster.save_model("model.ubj")`
	saveEstim   = `make a bundle of it with training/export.sh, or open it with the Python packages that wrote it, and save its model with model.save_model("model.ubj") if it is XGBoost's`
	notReadHere = `train the model with XGBoost or LightGBM instead, and make a bundle of it with training/export.sh`
	compressed  = "it is compressed, as joblib writes files, and opening one can run any code; " + saveEstim
)

// refuseForeign says what a file is that begins neither as JSON nor as UBJSON does, of those that people take
// for XGBoost models.
func refuseForeign(data []byte) error {
	if len(data) == 0 {
		return &FileError{Problem: "it is empty"}
	}
	beginnings := []struct{ prefix, problem string }{
		{"\x80", "it is a Python pickle, or a joblib file, and opening one can run any code; " + saveEstim},
		{"\x1f\x8b", "it is compressed with gzip; unpack it, or if joblib wrote it, " + saveEstim},
		{"\x78\x01", compressed},
		{"\x78\x5e", compressed},
		{"\x78\x9c", compressed},
		{"\x78\xda", compressed},
		{"BZh", compressed},
		{"\xfd7zXZ", compressed},
		{"\x5d\x00\x00", compressed},
		{"\x04\x22\x4d\x18", compressed},
		{"binf", "it is in the binary format that XGBoost wrote before 3.1; " + saveAgain},
		{"bs64", "it is in the binary format that XGBoost wrote before 3.1, as text; " + saveAgain},
		{"CBM1", "it is a CatBoost model, and CatBoost's are not read; " + notReadHere},
		{"tree\n", "it is a LightGBM model, not one of XGBoost"},
		{"tree\r\n", "it is a LightGBM model, not one of XGBoost"},
		{"booster[", "it is the text of dump_model, which leaves out what a prediction needs; save the model with booster.save_model(\"model.ubj\")"},
		{"[", "it is a list, perhaps that of dump_model, which leaves out what a prediction needs; save the model with booster.save_model(\"model.ubj\")"},
		{"\x89HDF", "it is an HDF5 file; " + notReadHere},
		{"<?xml", "it is XML, perhaps PMML; " + saveAgain},
		{"PK\x03\x04", "it is a zip file, perhaps one of skops; " + saveEstim},
	}
	for _, f := range beginnings {
		if bytes.HasPrefix(data, []byte(f.prefix)) {
			return &FileError{Problem: f.problem}
		}
	}
	return &FileError{Problem: "it is neither JSON nor UBJSON; " + saveAgain}
}

// refuseOtherLibraries says what a JSON file is that another library wrote.
func refuseOtherLibraries(root value) error {
	is := func(name string) bool { _, ok := root.find(name); return ok }
	switch {
	case is("learner"):
		return nil
	case is("Model") && is("Config"):
		return root.errorf("it is the memory of a booster, as a pickle holds it; %s", saveAgain)
	case is("oblivious_trees") || is("model_info") && is("features_info"):
		return root.errorf("it is a CatBoost model, and CatBoost's are not read; %s", notReadHere)
	case is("tree_info") && is("feature_infos"):
		return root.errorf("it is what LightGBM's dump_model returns; save the model with booster.save_model(\"model.txt\")")
	}
	return nil
}
