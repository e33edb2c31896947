package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"text/tabwriter"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher"
	"github.com/gompirun/gompirun/launcher/flags"
	"github.com/gompirun/gompirun/launcher/hosts"
)

// verdict is what `verify --json` prints.
type verdict struct {
	Generation int      `json:"generation"`
	Intact     bool     `json:"intact"`
	Damage     []string `json:"damage,omitempty"`
}

// verify reads a generation whole and checks every byte of it.
func verify(ctx context.Context, env Env, v *flags.Verify) error {
	st, err := store.Open(env.absolute(v.Dir))
	if err != nil {
		return err
	}
	number := v.Generation
	if number == 0 {
		if number, err = newest(st); err != nil {
			return err
		}
	}
	g, err := st.Load(number)
	if err == nil {
		err = g.Verify(ctx, true)
	}
	out := verdict{Generation: number, Intact: err == nil}
	for _, e := range flatten(err) {
		if e != nil {
			out.Damage = append(out.Damage, e.Error())
		}
	}
	if v.JSON {
		if perr := printJSON(env.Stdout, out); perr != nil {
			return perr
		}
	} else if err == nil {
		env.printf("checkpoint %d is intact\n", number)
	}
	if err != nil {
		return &launcher.StatusError{Status: launcher.StatusNoRestart, Err: fmt.Errorf("checkpoint %d in %s: %w", number, v.Dir, err)}
	}
	return nil
}

// newest is the number of the newest generation that has a manifest, intact or
// not.
func newest(st *store.Store) (int, error) {
	list, err := st.Generations()
	if err != nil {
		return 0, err
	}
	for _, g := range slices.Backward(list) {
		if g.Complete || g.Err != nil {
			return g.Number, nil
		}
	}
	return 0, &launcher.StatusError{Status: launcher.StatusNoRestart, Err: errors.New("there is no complete checkpoint yet")}
}

// prune deletes old generations.
func prune(ctx context.Context, env Env, p *flags.Prune) error {
	st, err := store.Open(env.absolute(p.Dir))
	if err != nil {
		return err
	}
	r, err := st.Prune(ctx, p.Keep)
	if err != nil {
		return err
	}
	env.printf("removed %d checkpoints and %d packs, %s\n", len(r.Generations), r.Packs, launcher.Bytes(r.Bytes))
	return nil
}

// doctor tells what hosts can do. The exit status is 1 if one lacks what is
// needed.
func doctor(ctx context.Context, env Env, d *flags.Doctor) (int, error) {
	var list []hosts.Host
	if len(d.Hosts) > 0 || len(d.Hostfiles) > 0 {
		var err error
		if list, err = hosts.Gather(d.Hosts, d.Hostfiles, env.getenv); err != nil {
			return 0, err
		}
	}
	job, free := env.jobEnv(nil)
	defer free()
	found, names, err := launcher.Doctor(ctx, job, list, sshOptions(d.SSHConfig))
	if err != nil {
		return 0, err
	}
	status := 0
	for _, fs := range found {
		for _, f := range fs {
			if f.Needed && !f.OK {
				status = 1
			}
		}
	}
	if d.JSON {
		return status, printJSON(env.Stdout, found)
	}
	w := tabwriter.NewWriter(env.Stdout, 0, 0, 2, ' ', 0)
	for _, name := range names {
		for _, f := range found[name] {
			mark := "ok"
			switch {
			case !f.OK && f.Needed:
				mark = "MISSING"
			case !f.OK:
				mark = "absent"
			}
			_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, f.Name, mark, f.Detail)
		}
	}
	return status, w.Flush()
}
