package image

import (
	"encoding/json"
	"fmt"
)

// Encode returns a pod's image as JSON.
func Encode(p *Pod) ([]byte, error) { return json.MarshalIndent(p, "", " ") }

// Decode is the inverse of Encode. It refuses a format that this version does
// not know.
func Decode(b []byte) (*Pod, error) {
	var head struct {
		Format int `json:"format"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, fmt.Errorf("read a pod's image: %w", err)
	}
	if head.Format < OldestFormat || head.Format > Format {
		return nil, fmt.Errorf("read a pod's image: it has format %d, this version reads %d to %d: use the version that wrote it", head.Format, OldestFormat, Format)
	}
	p := &Pod{}
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("read a pod's image: %w", err)
	}
	return p, nil
}
