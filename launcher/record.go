package launcher

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
	"github.com/gompirun/gompirun/launcher/rpc"
)

// RecordFormat is the version of Record. History: 1, the first.
const RecordFormat = 1

// A Record is what job.json says: all that a restart has to know of a job beside
// the images.
type Record struct {
	Format  int         `json:"format"`
	Version string      `json:"version"` // of the gompirun that wrote it
	Command []string    `json:"command"` // the words of the user's command line, without gompirun
	Dir     string      `json:"dir"`     // where it was given
	Family  flags.MPI   `json:"family"`
	Ranks   int         `json:"ranks"`
	Yield   flags.Yield `json:"yield,omitempty"`
	// Terminal: the program has a terminal in place of pipes.
	Terminal bool        `json:"terminal,omitempty"`
	UID      int         `json:"uid"`
	User     string      `json:"user"`
	Started  time.Time   `json:"started"`
	Env      []string    `json:"env"` // of the daemons that the native launcher asks for
	Pods     []PodRecord `json:"pods"`
	// Checkpoints is how the job is checkpointed.
	Checkpoints flags.Checkpointing `json:"checkpoints"`
}

// A PodRecord is what a pod is for life, and where it runs.
type PodRecord struct {
	ID        int          `json:"id"`
	HostName  string       `json:"host_name"` // virtual
	Node      string       `json:"node"`      // by which the native launcher knows it
	Addresses []netip.Addr `json:"addresses"` // virtual, the main one first
	Ranks     int          `json:"ranks"`
	Host      hosts.Host   `json:"host"` // where it ran last
}

// Facts is what a manifest says of a generation beside its files. The members
// with names of `ls --json` are a contract.
type Facts struct {
	Pods         []PodFacts `json:"pods"`
	Processes    int        `json:"processes"`
	Ranks        int        `json:"ranks"`
	BytesLogical int64      `json:"bytes_logical"`
	BytesChanged int64      `json:"bytes_changed"` // since the generation before, as far as that is known
	BytesWritten int64      `json:"bytes_written"`
	PauseMS      float64    `json:"pause_ms"` // to a tenth
	DurationMS   int64      `json:"duration_ms"`
	// Daemons counts the daemons started so far: each has a name for life.
	Daemons int `json:"daemons"`
	// Input is absent if the job has a terminal.
	Input *InputFacts `json:"input,omitempty"`
}

// PodFacts is a pod's part of a generation.
type PodFacts struct {
	ID           int    `json:"id"`
	HostName     string `json:"host_name"` // virtual
	Host         string `json:"host"`      // where it ran
	Processes    int    `json:"processes"`
	BytesLogical int64  `json:"bytes_logical"`
	BytesChanged int64  `json:"bytes_changed"`
	BytesWritten int64  `json:"bytes_written"`
}

// ReadRecord reads what a store's job.json says of the job.
func ReadRecord(st *store.Store) (Record, error) {
	var r Record
	b, err := st.ReadJob()
	if err != nil {
		return r, err
	}
	if string(b) == "null" {
		return r, errors.New("job.json does not say what the job is: it ended before its first checkpoint")
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("read job.json: %w", err)
	}
	if r.Format != RecordFormat {
		return r, fmt.Errorf("job.json has format %d, and this gompirun reads %d; use the gompirun that wrote it (%s)", r.Format, RecordFormat, r.Version)
	}
	for i, p := range r.Pods {
		if p.ID != i {
			return r, fmt.Errorf("job.json has pod %d in place %d", p.ID, i)
		}
	}
	return r, nil
}

func (r *Record) write(st *store.Store) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return st.WriteJob(b)
}

// ReadFacts reads what a manifest says of its generation.
func ReadFacts(m *store.Manifest) (Facts, error) {
	var f Facts
	if err := json.Unmarshal(m.Facts, &f); err != nil {
		return f, fmt.Errorf("read the facts of generation %d: %w", m.Generation, err)
	}
	return f, nil
}

// jobAddrs tells for every virtual address of the job whose it is.
func jobAddrs(pods []PodRecord) map[netip.Addr]int {
	list := make([]rpc.PodAddrs, len(pods))
	for i, p := range pods {
		list[i] = rpc.PodAddrs{ID: p.ID, Addresses: p.Addresses}
	}
	return rpc.JobAddrs(list)
}
