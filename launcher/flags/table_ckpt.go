package flags

import (
	"fmt"
	"path"
	"strings"
)

var ckptOptions = []option{
	{
		name: "ckpt-dir", aliases: []string{"ckpoint-prefix"}, arg: "DIR", group: groupCkpt,
		doc: "where checkpoints go; default ckpt-NAME after the program, or $DMTCP_CHECKPOINT_DIR",
		set: func(p *parser, v string) error {
			p.run.CkptDir = v
			return notEmpty(v)
		},
	},
	{
		name: "ckpt-interval", aliases: []string{"ckpoint-interval"}, arg: "TIME", group: groupCkpt, verbs: []Verb{VerbRun, VerbRestart},
		doc: "checkpoint this often: 10m, 90s, a number of seconds, 0 for never, or auto; default $DMTCP_CHECKPOINT_INTERVAL, else never",
		set: func(p *parser, v string) error { return p.run.setInterval(v) },
	},
	{
		name: "ckpt-keep", aliases: []string{"ckpoint-preserve"}, arg: "N", group: groupCkpt, verbs: []Verb{VerbRun, VerbRestart},
		doc: "keep the newest N generations; default all",
		set: func(p *parser, v string) (err error) {
			p.run.CkptKeep, err = parseCount(v)
			return err
		},
	},
	{
		name: "ckpt-mode", arg: "MODE", group: groupCkpt, verbs: []Verb{VerbRun, VerbRestart},
		doc: "precopy (the default): what does not change fast is written before the job stands still, the rest as with fork; fork: the job runs on while copies of its processes are written; stop: it waits until all is written",
		set: func(p *parser, v string) (err error) {
			p.run.CkptMode, err = oneOf(v, CkptPrecopy, CkptFork, CkptStop)
			return err
		},
	},
	{
		name: "ckpt-compress", arg: "HOW", group: groupCkpt, verbs: []Verb{VerbRun, VerbRestart},
		doc: "auto (the default: s2 for what gets smaller by it), none, s2 or zstd",
		set: func(p *parser, v string) (err error) {
			p.run.CkptCompress, err = oneOf(v, CompressAuto, CompressNone, CompressS2, CompressZstd)
			return err
		},
	},
	{
		name: "ckpt-stage", aliases: []string{"ckpoint-tmp-prefix"}, arg: "DIR", group: groupCkpt, verbs: []Verb{VerbRun, VerbRestart},
		doc: "a directory of each host's own to which checkpoints are written first, and brought to --ckpt-dir while the job runs; none is no such directory",
		set: func(p *parser, v string) error {
			if strings.EqualFold(v, "none") {
				p.run.CkptStage = ""
				return nil
			}
			if !path.IsAbs(v) {
				return fmt.Errorf("%q is not an absolute path, which is the same on all hosts", v)
			}
			p.run.CkptStage = path.Clean(v)
			return nil
		},
	},
	{
		name: "ckpt-track", arg: "on|off", group: groupCkpt, verbs: []Verb{VerbRun, VerbRestart},
		doc: "on (the default): the kernel tells which pages have changed since the last checkpoint; off: every page is read each time",
		set: func(p *parser, v string) error {
			_, err := oneOf(v, "on", "off")
			p.run.CkptUntracked = strings.EqualFold(v, "off")
			return err
		},
	},
	{
		name: "verify-pages", group: groupCkpt, verbs: []Verb{VerbRun, VerbRestart},
		doc: "compare the bytes of pages that are taken to be equal by their keys (xxh3-128); checkpoints take longer",
		set: func(p *parser, _ string) error {
			p.run.CkptVerify = true
			return nil
		},
	},
	{
		name: "ckpt-on", arg: "SIGNALS", group: groupCkpt, verbs: []Verb{VerbRun, VerbRestart},
		doc: "checkpoint when gompirun receives one of these, such as TERM,USR1; or none",
		set: func(p *parser, v string) (err error) {
			p.run.CkptOn, err = parseSignals(v)
			return err
		},
	},
	{
		name: "stop", group: groupCkpt, verbs: []Verb{VerbCheckpoint},
		doc: "end the job when the checkpoint is durable",
		set: func(p *parser, v string) error {
			p.stop = true
			return nil
		},
	},
	{
		name: "dry-run", group: groupCkpt, verbs: []Verb{VerbRestart},
		doc: "check everything a restart needs, then stop",
		set: func(p *parser, v string) error {
			p.dryRun = true
			return nil
		},
	},
	{
		name: "lazy", group: groupCkpt, verbs: []Verb{VerbRestart},
		doc: "let the job run before its memory is read: what it touches is read at once, and the rest behind it",
		set: func(p *parser, v string) error {
			p.lazy = true
			return nil
		},
	},
	{
		name: "files", arg: "HOW", group: groupCkpt, verbs: []Verb{VerbRestart},
		doc: "files open for writing: truncate to the recorded size (default), keep as they are, or fail if they changed",
		set: func(p *parser, v string) (err error) {
			p.files, err = oneOf(v, FilesTruncate, FilesKeep, FilesFail)
			return err
		},
	},
	{
		name: "path-map", arg: "OLD=NEW", scope: list, group: groupCkpt, verbs: []Verb{VerbRestart},
		doc: "what was at or below the path OLD at the checkpoint is at NEW on the hosts of the restart",
		set: func(p *parser, v string) error {
			from, to, ok := strings.Cut(v, "=")
			if !ok || !path.IsAbs(from) || !path.IsAbs(to) {
				return fmt.Errorf("%q is not two absolute paths, OLD=NEW", v)
			}
			p.pathMap = append(p.pathMap, path.Clean(from)+"="+path.Clean(to))
			return nil
		},
	},
	{
		name: "keep", arg: "N", group: groupCkpt, verbs: []Verb{VerbPrune},
		doc: "how many of the newest complete generations stay",
		set: func(p *parser, v string) (err error) {
			p.keep, err = parseCount(v)
			return err
		},
	},
	{
		name: "ckpoint", arg: "on|off", group: groupCkpt,
		doc: "accepted from older launchers; checkpoints are always possible",
		set: func(p *parser, v string) error {
			p.note("-ckpoint has no effect: checkpoints are always possible, --ckpt-interval makes them regular")
			_, err := oneOf(v, "on", "off")
			return err
		},
	},
	{
		name: "ckpointlib", arg: "NAME", group: groupCkpt,
		doc: "accepted from older launchers, without effect",
		set: func(p *parser, v string) error {
			p.note("-ckpointlib has no effect: gompirun has its own checkpoint library")
			return nil
		},
	},
}

// setInterval reads a time or the word auto.
func (c *Checkpointing) setInterval(v string) error {
	c.CkptInterval, c.CkptIntervalAuto = 0, strings.EqualFold(v, "auto")
	if c.CkptIntervalAuto {
		return nil
	}
	d, err := ParseDuration(v)
	if err != nil {
		return fmt.Errorf("%w, or auto", err)
	}
	c.CkptInterval = d
	return nil
}
