package xgboost_test

import "testing"

// TestForeignFiles hands over what people take for a model of XGBoost: the answer says what it is and what to do.
func TestForeignFiles(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"empty", "", "it is empty"},
		{"pickle", "\x80\x04\x95\xbf\x16", `training/export.sh, or open it with the Python packages that wrote it, and save its model with model.save_model("model.ubj")`},
		{"joblib, compressed", "\x78\x9c\x00\x00", "make a bundle of it with training/export.sh"},
		{"joblib, xz", "\xfd7zXZ\x00", `model.save_model("model.ubj")`},
		{"gzip", "\x1f\x8b\x08\x00", "gzip; unpack it"},
		{"zip", "PK\x03\x04", "zip"},
		{"binary format", "binf\x00\x00\x00\x3f", `before 3.1; load it with the XGBoost that wrote it, and save it again with booster.save_model("model.ubj")`},
		{"binary format as text", "bs64\tYmluZg", "before 3.1"},
		{"CatBoost", "CBM1\x00\x00", "CatBoost model, and CatBoost's are not read; train the model with XGBoost or LightGBM instead, and make a bundle of it with training/export.sh"},
		{"CatBoost JSON", `{"features_info": {}, "model_info": {}, "oblivious_trees": []}`, "CatBoost"},
		{"LightGBM", "tree\nversion=v4\n", "LightGBM model"},
		{"LightGBM JSON", `{"name": "tree", "version": "v4", "feature_infos": {}, "tree_info": []}`, `booster.save_model("model.txt")`},
		{"text of dump_model", "booster[0]:\n0:[f0<0.5] yes=1,no=2,missing=2\n", "dump_model"},
		{"JSON of dump_model", `[{"nodeid": 0, "depth": 0}]`, "dump_model"},
		{"memory of a booster", `{"Config": {}, "Model": {}}`, "as a pickle holds it"},
		{"anything else", "hello", "neither JSON nor UBJSON"},
		{"JSON of anything else", `{"model": 1}`, "learner: it is missing"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) { wantFileError(t, []byte(test.file), test.want) })
	}
}
