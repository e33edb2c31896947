package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/gompirun/gompirun/ckptlib/store"
	"github.com/gompirun/gompirun/launcher/flags"
)

// choose finds the generation to restart from, and what the job is.
func (j *Job) choose(ctx context.Context, r *flags.Restart) (*store.Generation, error) {
	j.dir = j.absolute(r.Dir)
	st, err := store.Open(j.dir)
	if err != nil {
		if errors.Is(err, os.ErrPermission) {
			return nil, fmt.Errorf("%w\n  only the user whose job it was can restart it", err)
		}
		return nil, err
	}
	if j.record, err = ReadRecord(st); err != nil {
		return nil, err
	}
	if uid := os.Getuid(); uid != j.record.UID {
		return nil, fmt.Errorf("the job ran as %s (user id %d) and this is user id %d; restart it as %s", j.record.User, j.record.UID, uid, j.record.User)
	}
	c := r.Checkpointing
	have := &j.record.Checkpoints
	for option, set := range map[string]func(){
		"ckpt-interval": func() { have.CkptInterval, have.CkptIntervalAuto = c.CkptInterval, c.CkptIntervalAuto },
		"ckpt-keep":     func() { have.CkptKeep = c.CkptKeep },
		"ckpt-mode":     func() { have.CkptMode = c.CkptMode },
		"ckpt-compress": func() { have.CkptCompress = c.CkptCompress },
		"ckpt-stage":    func() { have.CkptStage = c.CkptStage },
		"ckpt-track":    func() { have.CkptUntracked = c.CkptUntracked },
		"verify-pages":  func() { have.CkptVerify = c.CkptVerify },
		"ckpt-on":       func() { have.CkptOn = c.CkptOn },
	} {
		if r.Given[option] {
			set()
		}
	}
	g, err := ChooseGeneration(ctx, st, r.Generation, r.Dir)
	if err != nil {
		return nil, err
	}
	j.use(st, g.Manifest.Generation)
	f, err := ReadFacts(&g.Manifest)
	j.daemons = f.Daemons
	return g, errors.Join(err, j.resumeInput(f.Input, g.Manifest.Generation))
}

// ChooseGeneration returns the generation asked for, or with 0 the newest one;
// dir is how the user calls the store. It is refused if a file of it is damaged:
// to go back further than the user knows is his to decide.
func ChooseGeneration(ctx context.Context, st *store.Store, number int, dir string) (*store.Generation, error) {
	newest, damaged, err := st.Latest(ctx)
	hint := ""
	if err == nil {
		hint = fmt.Sprintf("\n  the newest intact checkpoint is %d: gompirun restart %s@%d", newest.Manifest.Generation, dir, newest.Manifest.Generation)
	}
	if number == 0 {
		switch {
		case err != nil && damaged != nil:
			return nil, fmt.Errorf("%s has no intact checkpoint: %w", dir, damaged)
		case err != nil:
			return nil, fmt.Errorf("%s has no complete checkpoint: the job ended before its first one was durable", dir)
		case damaged != nil:
			return nil, fmt.Errorf("the newest checkpoint in %s cannot be used: %w%s", dir, damaged, hint)
		}
		return newest, nil
	}
	g, err := st.Load(number)
	if errors.Is(err, store.ErrNoGeneration) {
		return nil, fmt.Errorf("%s has no complete checkpoint %d%s", dir, number, hint)
	}
	if err == nil {
		err = g.Verify(ctx, false)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint %d in %s cannot be used: %w%s", number, dir, err, hint)
	}
	return g, nil
}

// intactBefore offers the newest checkpoint before one with damaged pages, after
// reading all of it.
func intactBefore(ctx context.Context, st *store.Store, number int, dir string) string {
	list, err := st.Generations()
	if err != nil {
		return "" // the damage is told; this would be a help only
	}
	for _, i := range slices.Backward(list) {
		if i.Number >= number || !i.Complete {
			continue
		}
		if g, err := st.Load(i.Number); err == nil && g.Verify(ctx, true) == nil {
			return fmt.Sprintf("\n  the newest intact checkpoint before it is %d: gompirun restart %s@%d", i.Number, dir, i.Number)
		}
	}
	return ""
}
