package flags

import "strings"

var outputOptions = []option{
	{
		name: "tag-output", aliases: []string{"l", "prepend-rank"}, group: groupOutput, verbs: []Verb{VerbRun},
		doc: "label each line with its rank",
		set: func(p *parser, v string) error {
			p.run.TagOutput = true
			return nil
		},
	},
	{
		name: "timestamp-output", group: groupOutput, verbs: []Verb{VerbRun},
		doc: "label each line with the time",
		set: func(p *parser, v string) error {
			p.run.TimestampOutput = true
			return nil
		},
	},
	{
		name: "v", aliases: []string{"verbose"}, scope: list, group: groupOutput, verbs: []Verb{VerbRun, VerbRestart},
		doc: "say what is done; twice for more",
		set: func(p *parser, v string) error {
			p.run.Verbose = min(p.run.Verbose+1, 3)
			return nil
		},
	},
	{
		name: "vv", scope: list, group: groupOutput, verbs: []Verb{VerbRun, VerbRestart},
		doc: "the same as -v -v",
		set: func(p *parser, v string) error {
			p.run.Verbose = min(p.run.Verbose+2, 3)
			return nil
		},
	},
	{
		name: "q", aliases: []string{"quiet"}, scope: list, group: groupOutput, verbs: []Verb{VerbRun, VerbRestart},
		doc: "say nothing but errors",
		set: func(p *parser, v string) error {
			p.run.Quiet = true
			return nil
		},
	},
	{
		name: "json", group: groupOutput, verbs: []Verb{VerbLs, VerbInspect, VerbVerify, VerbDoctor},
		doc: "print JSON for programs in place of text",
		set: func(p *parser, v string) error {
			p.json = true
			return nil
		},
	},
}

// handed makes an option that only the native launcher understands. Which
// family has it is for package mpi to say.
func handed(name, arg, doc string, aliases ...string) option {
	return option{
		name: name, aliases: aliases, arg: arg, group: groupNative, doc: doc,
		set: func(p *parser, v string) error {
			p.run.Native = append(p.run.Native, [2]string{name, v})
			if arg == "" {
				return nil
			}
			return notEmpty(v)
		},
	}
}

var nativeOptions = []option{
	handed("bind-to", "WHAT", "none, hwthread, core, socket, numa, l3cache"),
	{
		name: "map-by", arg: "WHAT", group: groupNative,
		doc: "slot, node, core, socket, numa; ppr:N:node is -ppn N",
		set: func(p *parser, v string) error {
			lower := strings.ToLower(v)
			if n, ok := strings.CutPrefix(lower, "ppr:"); ok {
				if count, ok := strings.CutSuffix(n, ":node"); ok {
					return p.run.setPerNode(count)
				}
			}
			p.run.Native = append(p.run.Native, [2]string{"map-by", v})
			return notEmpty(v)
		},
	},
	handed("rank-by", "WHAT", "slot or node (Open MPI)"),
	handed("report-bindings", "", "print where each rank is bound"),
	handed("cpus-per-proc", "N", "processors for each rank (Open MPI)", "cpus-per-rank"),
	handed("use-hwthread-cpus", "", "count hardware threads as processors (Open MPI)"),
	handed("rankfile", "FILE", "place ranks as the file says (Open MPI)", "rf"),
	handed("membind", "HOW", "memory binding (MPICH)"),
	handed("gpus-per-proc", "N", "GPUs for each rank (MPICH)"),
	handed("order-nodes", "HOW", "ascending or descending (MPICH)"),
	handed("usize", "N", "universe size (MPICH)"),
	handed("prepend-pattern", "PATTERN", "label each line, with %r rank, %h host, %p pid, %t time (MPICH)"),
	handed("outfile-pattern", "PATTERN", "standard output of each rank to a file (MPICH)", "outfile"),
	handed("errfile-pattern", "PATTERN", "standard error of each rank to a file (MPICH)", "errfile"),
	handed("output-filename", "DIR", "output of each rank to files in DIR (Open MPI)"),
	handed("merge-stderr-to-stdout", "", "one stream for both (Open MPI)"),
	handed("stdin", "WHO", "which ranks read standard input: a rank, all, none (Open MPI)"),
	handed("display-map", "", "print where each rank runs (Open MPI)"),
	handed("display-allocation", "", "print the hosts and slots (Open MPI)"),
	handed("print-all-exitcodes", "", "print the exit status of every rank (MPICH)"),
	handed("disable-auto-cleanup", "", "leave the others running when a rank fails"),
}

var otherOptions = []option{
	ignored("allow-run-as-root", "", "accepted; root is allowed anyway", ""),
	ignored("arch", "NAME", "accepted without effect", "-arch has no effect"),
	ignored("soft", "LIST", "accepted without effect", "-soft has no effect: the job gets the number of ranks of -np"),
	ignored("path", "DIR", "accepted without effect", "-path has no effect: name the program with its directory"),
	ignored("file", "FILE", "accepted without effect", "-file has no effect"),
	{
		name: "launcher", arg: "NAME", group: groupOther,
		doc: "accepted when it says ssh, which is how hosts are reached",
		set: func(p *parser, v string) error {
			_, err := oneOf(v, "ssh")
			return err
		},
	},
	{
		name: "help", aliases: []string{"h"}, scope: list, group: groupOther,
		verbs: []Verb{VerbRun, VerbCheckpoint, VerbRestart, VerbLs, VerbInspect, VerbVerify, VerbPrune, VerbDoctor},
		doc:   "print this text; --help OPTION or OPTION --help prints what one option does",
		set:   func(p *parser, v string) error { return nil },
	},
	{
		name: "version", aliases: []string{"V"}, scope: list, group: groupOther,
		doc: "print the version",
		set: func(p *parser, v string) error { return nil },
	},
}

func ignored(name, arg, doc, note string) option {
	return option{
		name: name, arg: arg, scope: list, group: groupOther, doc: doc,
		set: func(p *parser, v string) error {
			if note != "" {
				p.note(note)
			}
			return nil
		},
	}
}
