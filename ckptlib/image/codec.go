package image

import (
	"encoding/json"
	"fmt"
)

// Encode returns a pod's image as JSON. It sets its Format.
func Encode(p *Pod) ([]byte, error) {
	p.Format = p.format()
	return json.MarshalIndent(p, "", " ")
}

// format is the lowest that says all of an image.
func (p *Pod) format() int {
	for i := range p.Processes {
		q := &p.Processes[i]
		if q.SharesActions || q.SharesUndo || q.SharesMemory || q.BornOf != 0 {
			return 2
		}
		for j := range q.Threads {
			if q.Threads[j].OwnFiles || q.Threads[j].BornOf != 0 {
				return 2
			}
		}
	}
	return 1
}

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
