package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/trendbuy/riskscorer/schemas"
	"github.com/trendbuy/riskscorer/scoring"
	"github.com/trendbuy/riskscorer/server/oip"
)

// inferenceExamples are the document's for the Open Inference Protocol: the example order as tensors.
type inferenceExamples struct {
	request map[string]any
	answer  json.RawMessage
	model   oip.Model
	matrix  *problem
}

func newInferenceExamples(m *model, order map[string]any, extra schemas.Extra) (*inferenceExamples, error) {
	x := &inferenceExamples{model: oip.NewModel(m.scorer)}
	features, _ := order["features"].(map[string]any)
	inputs := []map[string]any{{"name": "order_id", "shape": []int{1}, "datatype": "BYTES", "data": []any{order["order_id"]}}}
	for _, in := range x.model.Inputs {
		if v, ok := features[in.Name]; ok {
			inputs = append(inputs, map[string]any{"name": in.Name, "shape": []int{1}, "datatype": in.Datatype, "data": []any{v}})
		}
	}
	x.request = map[string]any{"id": "checkout-1", "inputs": inputs}
	text, err := json.Marshal(x.request)
	if err != nil {
		return nil, err
	}
	request, err := schemas.ParseInference(text, nil, m.scorer.Contract(), extra)
	if err != nil {
		return nil, err
	}
	decisions := m.scorer.Decide(nil, request.Orders)
	for i := range decisions {
		decisions[i] = roundDecision(decisions[i])
	}
	if x.answer, _, err = oip.Answer(m.scorer, request, decisions); err != nil {
		return nil, err
	}
	const matrix = `{"inputs": [{"name": "input-0", "shape": [1, 8], "datatype": "FP64", "data": [0, 0, 0, 0, 0, 0, 0, 0]}]}`
	_, err = schemas.ParseInference([]byte(matrix), nil, m.scorer.Contract(), extra)
	if x.matrix, _ = problemOf(err, inferencePrefix); x.matrix.Status != statusOf(invalidOrder) {
		return nil, fmt.Errorf("a matrix is not refused: %w", err)
	}
	return x, nil
}

func inferenceTag() *huma.Tag {
	return &huma.Tag{Name: "inference", Description: "The same decisions by the Open Inference Protocol v2"}
}

// inferencePaths describe the protocol's routes, below the model's own name and version.
func inferencePaths(x *examples) map[string]*huma.PathItem {
	name, version := pathParameter("name", x.inference.model.Name), pathParameter("version", x.inference.model.Versions[0])
	paths := map[string]*huma.PathItem{
		inferencePrefix: {Get: inferenceOperation("inferenceServer", "Describe the server", "InferenceServer", oip.NewServer("1.0.0"))},
		inferencePrefix + "/health/live": {
			Get: inferenceOperation("inferenceLive", "The process answers", "InferenceLive", oip.Live{Live: true}),
		},
		inferencePrefix + "/health/ready": {Get: unready(
			inferenceOperation("inferenceReady", "A model is loaded and orders can be scored", "InferenceReady", oip.Ready{Ready: true}), oip.Ready{},
		)},
	}
	for suffix, at := range map[string]struct {
		path   string
		params []*huma.Param
	}{
		"":        {inferencePrefix + "/models/{name}", []*huma.Param{name}},
		"Version": {inferencePrefix + "/models/{name}/versions/{version}", []*huma.Param{name, version}},
	} {
		model := inferenceOperation("inferenceModel"+suffix, "Describe the model", "InferenceModel", x.inference.model)
		withoutModel(x, model, at.path)
		ready := inferenceOperation("inferenceModelReady"+suffix, "The model is loaded and orders can be scored", "InferenceReady",
			oip.Ready{Name: x.inference.model.Name, Ready: true})
		withoutModel(x, unready(ready, oip.Ready{Name: x.inference.model.Name}), at.path+"/ready")
		infer := inferOperation(x, "infer"+suffix, at.path+"/infer")
		model.Parameters, ready.Parameters = at.params, at.params
		infer.Parameters = append(infer.Parameters, at.params...)
		maps.Copy(paths, map[string]*huma.PathItem{
			at.path: {Get: model}, at.path + "/ready": {Get: ready}, at.path + "/infer": {Post: infer},
		})
	}
	return paths
}

func pathParameter(name, value string) *huma.Param {
	return &huma.Param{
		Name: name, In: "path", Required: true, Description: "The model's " + name + "; any other is not found.",
		Schema: &huma.Schema{Type: huma.TypeString, Enum: []any{value}},
	}
}

func inferenceOperation(id, summary, schema string, example any) *huma.Operation {
	return &huma.Operation{
		OperationID: id, Summary: summary, Tags: []string{"inference"},
		Responses: map[string]*huma.Response{"200": {Description: "The answer.", Content: map[string]*huma.MediaType{
			"application/json": {Schema: reference(schema), Example: example},
		}}},
	}
}

// unready adds the answer of a server that is not ready.
func unready(op *huma.Operation, example oip.Ready) *huma.Operation {
	example.Reasons = []string{"no model is loaded"}
	op.Responses[strconv.Itoa(http.StatusServiceUnavailable)] = &huma.Response{
		Description: "Not now.", Headers: retryHeader(),
		Content: map[string]*huma.MediaType{"application/json": {
			Schema: reference("InferenceReady"), Examples: map[string]*huma.Example{"unready": {Summary: "Not ready", Value: example}},
		}},
	}
	return op
}

// withoutModel adds the answers of a server that has another model than the path names, or none yet.
func withoutModel(x *examples, op *huma.Operation, path string) {
	for _, k := range []kind{notFound, notReady} {
		code, title := k.status()
		response := op.Responses[strconv.Itoa(code)]
		if response == nil {
			response = &huma.Response{Description: title + ".", Content: map[string]*huma.MediaType{
				problemType(path): {Schema: reference("Problem"), Examples: map[string]*huma.Example{}},
			}}
			op.Responses[strconv.Itoa(code)] = response
		}
		media := response.Content[problemType(path)]
		if media.Schema.Ref != reference("Problem").Ref { // it is unready's, too
			media.Schema = &huma.Schema{AnyOf: []*huma.Schema{media.Schema, reference("Problem")}}
		}
		media.Examples[string(k)] = &huma.Example{Summary: title, Value: x.problem(k, path)}
		if k == notReady {
			response.Headers = retryHeader()
		}
	}
}

func inferOperation(x *examples, id, path string) *huma.Operation {
	lengthSchema := &huma.Schema{Type: huma.TypeInteger, Minimum: new(0.0)}
	ok := &huma.Response{
		Description: "The decisions as tensors: those that were asked for, or all.",
		Headers: map[string]*huma.Param{
			inferenceHeader: {Description: "Length of the JSON, where tensors follow it in bytes.", Schema: lengthSchema},
		},
		Content: map[string]*huma.MediaType{
			"application/json": {Schema: reference("InferenceAnswer"), Example: x.inference.answer},
			octets:             {Schema: binarySchema("An InferenceAnswer, and behind it the tensors that were asked for in bytes."), Example: string(x.inference.answer)},
		},
	}
	op := &huma.Operation{
		OperationID: id,
		Summary:     fmt.Sprintf("Score 1 to %d orders by column", schemas.MaxBatch),
		Description: "One named tensor a feature, of shape [n] or [n, 1]. The orders are answered whole or not at all; POST /score/batch answers each by itself.",
		Tags:        []string{"inference"},
		Parameters: []*huma.Param{{
			Name: inferenceHeader, In: "header", Schema: lengthSchema,
			Description: "Length of the JSON at the body's begin, where tensors follow it in bytes.",
		}, timeoutParam()},
		RequestBody: jsonBody("InferenceRequest", fmt.Sprintf("The tensors, at most %d bytes.", maxBatchBytes), x.inference.request),
		Responses:   withProblems(x, path, ok),
	}
	text, _ := json.Marshal(x.inference.request) // it was marshalled before
	op.RequestBody.Content[octets] = &huma.MediaType{
		Schema:  binarySchema("An InferenceRequest, and behind it the tensors that have a binary_data_size. " + inferenceHeader + " is required."),
		Example: string(text),
	}
	withoutModel(x, op, path)
	return op
}

func binarySchema(description string) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "binary", Description: description}
}

// inferenceSchemas are the protocol's bodies by name.
func inferenceSchemas(c *scoring.Contract, extra schemas.Extra) map[string]*huma.Schema {
	text, flag := func() *huma.Schema { return &huma.Schema{Type: huma.TypeString} }, &huma.Schema{Type: huma.TypeBoolean}
	texts := &huma.Schema{Type: huma.TypeArray, Items: text()}
	identity := closed(map[string]*huma.Schema{"model_digest": text(), "engine": text()}, "model_digest", "engine")
	described := closed(map[string]*huma.Schema{
		"name": text(), "datatype": datatypeSchema("BYTES", "FP64", "INT64"),
		"shape":      {Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeInteger, Minimum: new(-1.0)}, Description: "-1 is the number of orders."},
		"parameters": closed(map[string]*huma.Schema{"required": flag, "categories": texts}, "required"),
	}, "name", "datatype", "shape")
	return map[string]*huma.Schema{
		"InferenceServer": closed(map[string]*huma.Schema{"name": text(), "version": text(), "extensions": texts}, "name", "version", "extensions"),
		"InferenceLive":   closed(map[string]*huma.Schema{"live": flag}, "live"),
		"InferenceReady":  closed(map[string]*huma.Schema{"name": text(), "ready": flag, "reasons": texts}, "ready"),
		"InferenceModel": closed(map[string]*huma.Schema{
			"name": text(), "versions": texts, "platform": text(), "parameters": identity,
			"inputs": {Type: huma.TypeArray, Items: described}, "outputs": {Type: huma.TypeArray, Items: described},
		}, "name", "versions", "platform", "inputs", "outputs", "parameters"),
		"InferenceRequest": inferenceRequestSchema(c, extra),
		"InferenceAnswer": closed(map[string]*huma.Schema{
			"model_name": text(), "model_version": text(), "id": text(), "parameters": identity,
			"outputs": {Type: huma.TypeArray, Items: closed(map[string]*huma.Schema{
				"name": text(), "datatype": datatypeSchema("BYTES", "FP64"), "shape": shapeSchema(),
				"parameters": closed(map[string]*huma.Schema{"binary_data_size": {Type: huma.TypeInteger}}, "binary_data_size"),
				"data": {
					Type: huma.TypeArray, Description: "Flat, order by order; not where the tensor is in bytes.",
					Items: &huma.Schema{OneOf: []*huma.Schema{{Type: huma.TypeNumber}, text()}},
				},
			}, "name", "datatype", "shape")},
		}, "model_name", "model_version", "parameters", "outputs"),
	}
}

func datatypeSchema(names ...any) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Enum: names}
}

func shapeSchema() *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeArray, MinItems: new(1), MaxItems: new(2),
		Items: &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0)},
	}
}

func inferenceRequestSchema(c *scoring.Contract, extra schemas.Extra) *huma.Schema {
	name := &huma.Schema{Type: huma.TypeString, Description: "A feature, order_id or event_version."}
	if extra == schemas.RefuseExtra {
		name.Enum = []any{"order_id", "event_version"}
		for i := range c.Features() {
			name.Enum = append(name.Enum, c.Features()[i].Name)
		}
	}
	hints := func(description string) *huma.Schema {
		return &huma.Schema{Type: huma.TypeObject, Nullable: true, AdditionalProperties: true, Description: description}
	}
	shape := shapeSchema()
	shape.Items.Maximum = new(float64(schemas.MaxBatch))
	shape.Description = "[n] or [n, 1], with the same n in every tensor."
	value := []*huma.Schema{{Type: huma.TypeNumber, Nullable: true}, {Type: huma.TypeString}}
	input := closed(map[string]*huma.Schema{
		"name": name, "shape": shape, "parameters": hints("binary_data_size where the data follows the JSON; others are ignored."),
		"datatype": datatypeSchema("BYTES", "FP32", "FP64", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"),
		"data": {
			Type: huma.TypeArray, MinItems: new(1), MaxItems: new(schemas.MaxBatch), Description: "n values, or n arrays of one value. null is missing.",
			Items: &huma.Schema{AnyOf: append(value, &huma.Schema{
				Type: huma.TypeArray, MinItems: new(1), MaxItems: new(1), Items: &huma.Schema{AnyOf: value},
			})},
		},
	}, "name", "shape", "datatype")
	output := closed(map[string]*huma.Schema{
		"name": datatypeSchema(oip.Outputs()...), "parameters": hints("binary_data: whether it goes behind the JSON in bytes."),
	}, "name")
	return closed(map[string]*huma.Schema{
		"id":            {Type: huma.TypeString, Description: "The caller's own; the answer has it, too. At most 256 bytes."},
		"parameters":    hints("binary_data_output: outputs go behind the JSON in bytes; others are ignored."),
		"model_name":    {Type: huma.TypeString, Nullable: true, Description: "As in the path."},
		"model_version": {Type: huma.TypeString, Nullable: true, Description: "As in the path."},
		"inputs":        {Type: huma.TypeArray, Items: input, MinItems: new(1)},
		"outputs":       {Type: huma.TypeArray, Items: output, Description: "None means all."},
	}, "inputs")
}
