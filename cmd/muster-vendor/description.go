package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"muster/license"

	"go.yaml.in/yaml/v3"
)

// parseDescription reads a YAML description of a license: the fields of the license text under their own names, the items
// in a list called Items, and lists as YAML lists or with commas. Names and values are checked later, all at once.
func parseDescription(text []byte) (header []license.Field, items [][]license.Field, err error) {
	root, err := parseYAML(text)
	if err != nil {
		return nil, nil, err
	}
	for key, value := range pairs(root) {
		if key.Value != "Items" {
			field, err := fieldOf(key, value)
			if err != nil {
				return nil, nil, err
			}
			header = append(header, field)
			continue
		}
		if value.Kind != yaml.SequenceNode || items != nil {
			return nil, nil, fmt.Errorf("line %d: Items stands once and is a list of items, each beginning with a hyphen", value.Line)
		}
		for _, node := range value.Content {
			fields, err := itemOf(node)
			if err != nil {
				return nil, nil, err
			}
			items = append(items, fields)
		}
	}
	return header, items, nil
}

func parseYAML(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document, more yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, errors.New("the description is empty; it begins with LicenseId or Items")
	} else if err != nil {
		return nil, err
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("the description holds a second document; write one file for each license")
	}
	root := document.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: the description is a list of \"Name: value\", with the items under Items", root.Line)
	}
	return root, nil
}

// pairs is the entries of a mapping in their order.
func pairs(mapping *yaml.Node) func(func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			if !yield(mapping.Content[i], mapping.Content[i+1]) {
				return
			}
		}
	}
}

func itemOf(node *yaml.Node) (fields []license.Field, err error) {
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: an item is a list of \"Name: value\"", node.Line)
	}
	for key, value := range pairs(node) {
		field, err := fieldOf(key, value)
		if err != nil {
			return nil, err
		}
		fields = append(fields, field)
	}
	return fields, nil
}

// fieldOf takes a value as it is written, so that dates stay dates and 010 does not become 8.
func fieldOf(key, value *yaml.Node) (license.Field, error) {
	field := license.Field{Name: key.Value, Line: key.Line}
	switch {
	case value.Kind == yaml.ScalarNode && value.Tag != "!!null":
		field.Value = value.Value
	case value.Kind == yaml.ScalarNode: // no value: told as such later
	case value.Kind == yaml.SequenceNode:
		var entries []string
		for _, entry := range value.Content {
			if entry.Kind != yaml.ScalarNode {
				return field, fmt.Errorf("line %d: %s is a plain list", entry.Line, key.Value)
			}
			entries = append(entries, entry.Value)
		}
		field.Value = strings.Join(entries, ", ")
	default:
		return field, fmt.Errorf("line %d: %s is a value or a list", value.Line, key.Value)
	}
	return field, nil
}
