package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher"
	"github.com/gompirun/gompirun/launcher/flags"
)

// row is a generation in `ls --json`. The names are a contract.
type row struct {
	Generation   int        `json:"generation"`
	Created      *time.Time `json:"created"`
	Pods         int        `json:"pods"`
	Processes    int        `json:"processes"`
	Ranks        int        `json:"ranks"`
	BytesLogical int64      `json:"bytes_logical"`
	BytesChanged int64      `json:"bytes_changed"`
	BytesWritten int64      `json:"bytes_written"`
	PauseMS      float64    `json:"pause_ms"`
	DurationMS   int64      `json:"duration_ms"`
	Complete     bool       `json:"complete"`
	Error        string     `json:"error,omitempty"` // why one with a manifest is not complete
}

// ls lists the generations of a store, oldest first.
func ls(env Env, l *flags.Ls) error {
	st, err := store.Open(env.absolute(l.Dir))
	if err != nil {
		return err
	}
	rows, err := rowsOf(st)
	if err != nil {
		return err
	}
	if l.JSON {
		return printJSON(env.Stdout, rows)
	}
	if len(rows) == 0 {
		env.printf("no checkpoints yet\n")
		return nil
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	_, _ = fmt.Fprintln(w, "generation\tcreated\thosts\tranks\tprocesses\tmemory\tchanged\twritten\tpause\tdurable after\t")
	for _, r := range rows {
		if !r.Complete {
			why := "incomplete"
			if r.Error != "" {
				why = "damaged"
			}
			_, _ = fmt.Fprintf(w, "%d\t%s\t\t\t\t\t\t\t\t\t\n", r.Generation, why)
			continue
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%d\t%d\t%d\t%s\t%s\t%s\t%s\t%.1f s\t\n", r.Generation, r.Created.Local().Format("2006-01-02 15:04:05"),
			r.Pods, r.Ranks, r.Processes, launcher.Bytes(r.BytesLogical), launcher.Bytes(r.BytesChanged), launcher.Bytes(r.BytesWritten), launcher.Millis(r.PauseMS), float64(r.DurationMS)/1000)
	}
	return w.Flush()
}

// rowsOf is never nil: an empty list is [] in JSON.
func rowsOf(st *store.Store) ([]row, error) {
	list, err := st.Generations()
	if err != nil {
		return nil, err
	}
	rows := make([]row, 0, len(list))
	for _, g := range list {
		r := row{Generation: g.Number, Complete: g.Complete}
		if g.Err != nil {
			r.Error = g.Err.Error()
		}
		if g.Manifest != nil {
			f, err := launcher.ReadFacts(g.Manifest)
			if err != nil {
				return nil, err
			}
			created := g.Manifest.Created
			r.Created = &created
			r.Pods, r.Processes, r.Ranks = len(f.Pods), f.Processes, f.Ranks
			r.BytesLogical, r.BytesChanged, r.BytesWritten = f.BytesLogical, f.BytesChanged, f.BytesWritten
			r.PauseMS, r.DurationMS = f.PauseMS, f.DurationMS
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
