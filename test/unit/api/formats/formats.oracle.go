//go:build ignore

// Answers which texts are of which format, for formats.record.ts.
package main

import (
	"encoding/json"
	"os"

	"k8s.io/kube-openapi/pkg/validation/strfmt"
)

func main() {
	var asked struct{ Formats, Texts []string }
	if err := json.NewDecoder(os.Stdin).Decode(&asked); err != nil {
		panic(err)
	}
	fitting := map[string][]string{}
	for _, format := range asked.Formats {
		fitting[format] = []string{}
		for _, text := range asked.Texts {
			if strfmt.Default.Validates(format, text) {
				fitting[format] = append(fitting[format], text)
			}
		}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(fitting); err != nil {
		panic(err)
	}
}
