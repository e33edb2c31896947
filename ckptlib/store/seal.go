package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
)

// A sealed file is JSON whose last member, "sum", is the xxh3-128 of all bytes
// before it. Spelling and spacing of that member are fixed, so that every bit
// of the file is either under the sum or compared.
const (
	sealHead = ",\n  \"sum\": \""
	sealTail = "\"\n}\n"
	sealSize = len(sealHead) + 2*len(Sum{}) + len(sealTail)
)

var errSeal = errors.New("its checksum does not match: it is torn or was changed")

// seal encodes v, which must be a struct, and adds the sum.
func seal(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // the strings of others stay as they wrote them
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	data, ok := bytes.CutSuffix(buf.Bytes(), []byte("\n}\n"))
	if !ok {
		return nil, fmt.Errorf("seal %T: it has no members", v)
	}
	sum := sumOf(data)
	data = append(data, sealHead...)
	data = hex.AppendEncode(data, sum[:])
	return append(data, sealTail...), nil
}

// unseal checks the sum and the format of a sealed file and decodes it to v.
// Members that v does not have are passed over: additions keep the format.
func unseal(file string, data []byte, v any) error {
	var versioned struct {
		Format *int64 `json:"format"`
	}
	err := checkSeal(data)
	if e := json.Unmarshal(data, &versioned); e == nil && versioned.Format != nil && *versioned.Format != FormatVersion {
		// A later format may be sealed in another way: its version counts first.
		return &FormatError{File: file, Version: *versioned.Format}
	}
	if err == nil && versioned.Format == nil {
		err = errors.New("it has no format version")
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return &DamagedError{File: file, Err: err}
	}
	return nil
}

func checkSeal(data []byte) error {
	if len(data) < sealSize {
		return errSeal
	}
	body, end := data[:len(data)-sealSize], data[len(data)-sealSize:]
	sum := sumOf(body)
	want := append([]byte(sealHead), hex.EncodeToString(sum[:])+sealTail...)
	if !bytes.Equal(end, want) {
		return errSeal
	}
	return nil
}
