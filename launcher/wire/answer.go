package wire

import (
	"encoding"
	"encoding/json"
	"fmt"
)

// An Answer is the body of a Reply: JSON, or the binary form of a type that has
// one, which what is long has. It passes on as it is.
type Answer []byte

// MarshalBinary implements encoding.BinaryMarshaler.
func (a Answer) MarshalBinary() ([]byte, error) { return a, nil }

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (a *Answer) UnmarshalBinary(b []byte) error {
	*a = b
	return nil
}

// Decode stores the answer in result, of the type that the method returns.
func (a Answer) Decode(result any) error {
	if u, ok := result.(encoding.BinaryUnmarshaler); ok {
		return u.UnmarshalBinary(a)
	}
	return json.Unmarshal(a, result)
}

func encode(result any) (a Answer, err error) {
	if m, ok := result.(encoding.BinaryMarshaler); ok {
		a, err = m.MarshalBinary()
	} else {
		a, err = json.Marshal(result)
	}
	if err != nil {
		return nil, fmt.Errorf("encode an answer: %w", err)
	}
	return a, nil
}
