package flags

import (
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func none(string) string { return "" }

// base is the run of a line without options.
func base(change func(*Run)) *Run {
	r := &Run{Contexts: []Context{{Program: "./a.out"}}, MPI: MPIAuto, TTY: TTYAuto, Common: Common{Yield: YieldAuto}}
	r.CkptDir, r.CkptMode, r.CkptCompress = "ckpt-a.out", CkptPrecopy, CompressAuto
	change(r)
	return r
}

func TestLinesOfBothFamiliesAreRead(t *testing.T) {
	for _, c := range []struct {
		line string
		want func(r *Run)
	}{
		{"./a.out", func(r *Run) {}},
		{"-np 4 ./a.out -np 9 --help", func(r *Run) { r.Contexts[0].NP, r.Contexts[0].Args = 4, []string{"-np", "9", "--help"} }},
		{"--np=4 ./a.out", func(r *Run) { r.Contexts[0].NP = 4 }},
		{"-n 4 -- ./a.out", func(r *Run) { r.Contexts[0].NP = 4 }},
		{"-c 4 -N 2 ./a.out", func(r *Run) { r.Contexts[0].NP, r.PerNode = 4, 2 }},
		{"-NP 4 -PPN 2 ./a.out", func(r *Run) { r.Contexts[0].NP, r.PerNode = 4, 2 }},
		{"--map-by ppr:2:node ./a.out", func(r *Run) { r.PerNode = 2 }},
		{"--pernode ./a.out", func(r *Run) { r.PerNode = 1 }},
		{
			"-host a:2,b -hosts c -H d -f h1 --hostfile h2 -machinefile h3 ./a.out",
			func(r *Run) { r.Hosts, r.Hostfiles = []string{"a:2,b", "c", "d"}, []string{"h1", "h2", "h3"} },
		},
		{"-genv A 1 -genv B=2 -genv C x=y -env D 3 -x E -x F=5=6 -x G* -envlist H,I ./a.out", func(r *Run) {
			r.GlobalEnv = []EnvVar{{Name: "A", Value: "1"}, {Name: "B", Value: "2"}, {Name: "C", Value: "x=y"}}
			r.Contexts[0].Env = []EnvVar{
				{Name: "D", Value: "3"},
				{Name: "E", Inherit: true},
				{Name: "F", Value: "5=6"},
				{Name: "G*", Inherit: true},
				{Name: "H", Inherit: true},
				{Name: "I", Inherit: true},
			}
		}},
		{"-genvnone -envall ./a.out", func(r *Run) { r.EnvMode, r.Contexts[0].EnvMode = EnvNone, EnvAll }},
		{"--mca btl self,tcp -mca x=1 -gmca y a=b ./a.out", func(r *Run) { r.MCA = [][2]string{{"btl", "self,tcp"}, {"x", "1"}, {"y", "a=b"}} }},
		{"--oversubscribe --allow-run-as-root -wdir /x ./a.out", func(r *Run) { r.Oversubscribe, r.Contexts[0].Wdir = true, "/x" }},
		{"-l --bind-to core -map-by node --report-bindings ./a.out", func(r *Run) {
			r.TagOutput, r.Native = true, [][2]string{{"bind-to", "core"}, {"map-by", "node"}, {"report-bindings", ""}}
		}},
		{"-v -v --timeout 30 --mpi OpenMPI --iface eth1 --ssh-config f ./a.out", func(r *Run) {
			r.Verbose, r.Timeout, r.MPI, r.Iface, r.SSHConfig = 2, 30*time.Second, OpenMPI, "eth1", "f"
		}},
		{"--ckpt-dir d --ckpt-interval 10m --ckpt-keep 3 --ckpt-mode stop --ckpt-compress zstd --ckpt-on TERM,sigusr1,2 ./a.out", func(r *Run) {
			r.CkptDir, r.CkptInterval, r.CkptKeep, r.CkptMode, r.CkptCompress = "d", 10*time.Minute, 3, CkptStop, CompressZstd
			r.CkptOn = []syscall.Signal{syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGINT}
		}},
		{"--ckpt-stage /local/tmp/ ./a.out", func(r *Run) { r.CkptStage = "/local/tmp" }},
		{"--ckpt-track off --verify-pages ./a.out", func(r *Run) { r.CkptUntracked, r.CkptVerify = true, true }},
		{"--ckpt-interval auto --ckpt-on none ./a.out", func(r *Run) { r.CkptIntervalAuto, r.CkptOn = true, []syscall.Signal{} }},
		{"-ckpoint on -ckpoint-interval 60 ./a.out", func(r *Run) {
			r.CkptInterval = time.Minute
			r.Notes = []string{"-ckpoint has no effect: checkpoints are always possible, --ckpt-interval makes them regular"}
		}},
		{"-n 1 -host a ./a.out x : -n 2 --timeout 5 ./b y : -n 3 --timeout 5 ./c", func(r *Run) {
			r.Hosts, r.Timeout = []string{"a"}, 5*time.Second
			r.Contexts = []Context{{NP: 1, Program: "./a.out", Args: []string{"x"}}, {NP: 2, Program: "./b", Args: []string{"y"}}, {NP: 3, Program: "./c"}}
		}},
		{"-n 1 -host a ./a.out : -n 2 -host b:2 ./b", func(r *Run) {
			r.Hosts = []string{"a", "b:2"}
			r.Contexts = []Context{{NP: 1, Hosts: []string{"a"}, Program: "./a.out"}, {NP: 2, Hosts: []string{"b:2"}, Program: "./b"}}
		}},
		{"-np 1 restart", func(r *Run) { r.Contexts, r.CkptDir = []Context{{NP: 1, Program: "restart"}}, "ckpt-restart" }},
		{"./restart d", func(r *Run) {
			r.Contexts, r.CkptDir = []Context{{Program: "./restart", Args: []string{"d"}}}, "ckpt-restart"
		}},
	} {
		cmd, err := Parse(strings.Fields(c.line), none)
		if err != nil {
			t.Errorf("Parse(%s) = %v, want a run", c.line, err)
			continue
		}
		diff := cmp.Diff(Command{Verb: VerbRun, Run: base(c.want)}, cmd, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Common{}, "Given"))
		if diff != "" {
			t.Errorf("Parse(%s) (-want +got):\n%s", c.line, diff)
		}
	}
}

func TestWrongLinesAreRefusedByName(t *testing.T) {
	for line, want := range map[string]string{
		"":                                      "no program given",
		"-np 4":                                 "no program given",
		"-np":                                   "-np: needs a value: -np N",
		"--ckpt-stage local ./a":                `--ckpt-stage: "local" is not an absolute path`,
		"-np x ./a":                             `-np: "x" is not a whole number from 1`,
		"-np 0 ./a":                             `-np: "0" is not`,
		"-np 2 -n 3 ./a":                        "-n: duplicate: -np N was given before",
		"--bogus ./a":                           "--bogus: unknown option",
		"--hostfiel f ./a":                      "--hostfiel: unknown option; is --hostfile meant?",
		"--oversubscribe=1 ./a":                 "--oversubscribe: takes no value",
		"-genv A":                               "-genv: needs a name and a value",
		"-x A*B ./a":                            "-x: \"A*B\": only the end",
		"-x =1 ./a":                             "-x: the name of the variable is missing",
		"-genvall -genvnone ./a":                "-genvnone: contradicts",
		"-v -q ./a":                             "-q: contradicts -v",
		"--oversubscribe --nooversubscribe ./a": "--oversubscribe: contradicts",
		"-l --prepend-pattern %r ./a":           "--prepend-pattern: contradicts --tag-output",
		"-ppn 2 --pernode ./a":                  "--pernode: 1 ranks per host contradicts the 2",
		"-ppn 2 --map-by ppr:3:node ./a":        "--map-by: 3 ranks per host contradicts the 2",
		"--mpi none -np 2 ./a":                  "--mpi: none starts one process",
		"--mpi lam ./a":                         `--mpi: "lam" is none of auto, mpich, openmpi, none`,
		"--ckpt-mode cow ./a":                   `--ckpt-mode: "cow" is none of precopy, fork, stop`,
		"--ckpt-interval soon ./a":              `--ckpt-interval: "soon" is no time`,
		"--ckpt-interval -5 ./a":                `--ckpt-interval: "-5" is no time`,
		"--ckpt-on KILL ./a":                    `--ckpt-on: "KILL" is no signal`,
		"--launcher slurm ./a":                  `--launcher: "slurm" is none of ssh`,
		": ./a":                                 ":: a program is missing",
		"./a :":                                 ":: a program is missing",
		"-n 1 ./a : ./b":                        "-np: is missing for ./b",
		"--timeout 5 ./a : --timeout 6 ./b":     `--timeout: "6" contradicts the "5"`,
		"--stop ./a":                            "--stop: unknown option",
		"checkpoint":                            "checkpoint needs a checkpoint directory",
		"checkpoint a b":                        `checkpoint does not know what to do with "b"`,
		"checkpoint --np 4 d":                   "--np: is an option for running a program",
		"prune d":                               "--keep: prune needs to know",
		"prune --keep 0 d":                      "--keep: \"0\" is not",
		"restart @3":                            "@3: the directory before the @ is missing",
		"restart d@0":                           "d@0: generations are numbered from 1",
		"restart --path-map /a d":               `--path-map: "/a" is not two absolute paths, OLD=NEW`,
		"restart --path-map /a=b d":             `--path-map: "/a=b" is not two absolute paths, OLD=NEW`,
		"restart --files maybe d":               `--files: "maybe" is none of truncate, keep, fail`,
		"doctor x":                              `doctor does not know what to do with "x"`,
	} {
		_, err := Parse(strings.Fields(line), none)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Parse(%s) = %v, want %s...", line, err, want)
			continue
		}
		if e, ok := errors.AsType[*UsageError](err); !ok || e.ExitStatus() != 2 || e.Verb == "" {
			t.Errorf("Parse(%s) gives %#v, want a *UsageError with its verb and status 2", line, err)
		}
	}
}

func TestVerbsAreRead(t *testing.T) {
	ckpt, common := Checkpointing{CkptMode: CkptPrecopy, CkptCompress: CompressAuto}, Common{Yield: YieldAuto}
	for line, want := range map[string]Command{
		"checkpoint d":           {Verb: VerbCheckpoint, Checkpoint: &Checkpoint{Dir: "d"}},
		"checkpoint d --stop":    {Verb: VerbCheckpoint, Checkpoint: &Checkpoint{Dir: "d", Stop: true}},
		"ls --json d":            {Verb: VerbLs, Ls: &Ls{Dir: "d", JSON: true}},
		"inspect d@000007":       {Verb: VerbInspect, Inspect: &Inspect{Target: Target{"d", 7}}},
		"verify -json me@here":   {Verb: VerbVerify, Verify: &Verify{Target: Target{"me@here", 0}, JSON: true}},
		"verify -- -d":           {Verb: VerbVerify, Verify: &Verify{Target: Target{"-d", 0}}},
		"prune d --keep=2":       {Verb: VerbPrune, Prune: &Prune{Dir: "d", Keep: 2}},
		"doctor --hostfile f":    {Verb: VerbDoctor, Doctor: &Doctor{Hostfiles: []string{"f"}}},
		"agent --anything -x":    {Verb: VerbAgent, Agent: &Agent{Args: []string{"--anything", "-x"}}},
		"version":                {Verb: VerbVersion},
		"--version":              {Verb: VerbVersion},
		"-np 2 -V":               {Verb: VerbVersion},
		"help":                   {Verb: VerbHelp, Help: &Help{}},
		"-h":                     {Verb: VerbHelp, Help: &Help{}},
		"--help np ./a":          {Verb: VerbHelp, Help: &Help{"np"}},
		"--help=ppn":             {Verb: VerbHelp, Help: &Help{"ppn"}},
		"-ppn -h":                {Verb: VerbHelp, Help: &Help{"ppn"}},
		"restart --help":         {Verb: VerbHelp, Help: &Help{"restart"}},
		"help --ckpt-interval":   {Verb: VerbHelp, Help: &Help{"--ckpt-interval"}},
		"restart d -host a:2 -n": {},
		"restart --path-map /a/=/b/c --path-map=/d=/e d@3": {Verb: VerbRestart, Restart: &Restart{
			Target: Target{Dir: "d", Generation: 3}, Files: FilesTruncate, PathMap: []string{"/a=/b/c", "/d=/e"}, Checkpointing: ckpt, Common: common,
		}},
		"restart --dry-run -f h -host a --files keep d@3": {Verb: VerbRestart, Restart: &Restart{
			Target: Target{"d", 3}, Hosts: []string{"a"},
			Hostfiles: []string{"h"}, DryRun: true, Files: FilesKeep, Checkpointing: ckpt, Common: common,
		}},
	} {
		got, err := Parse(strings.Fields(line), none)
		if want.Verb == "" {
			if err == nil {
				t.Errorf("Parse(%s) = %+v, want an error", line, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("Parse(%s) = %v, want %+v", line, err, want)
			continue
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(Common{}, "Given")); diff != "" {
			t.Errorf("Parse(%s) (-want +got):\n%s", line, diff)
		}
	}
}

func TestRestartTellsWhatWasGiven(t *testing.T) {
	cmd, err := Parse(strings.Fields("restart -ckpoint-interval 5 -v d"), none)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"ckpt-interval": true, "v": true}
	if diff := cmp.Diff(want, cmd.Restart.Given); diff != "" {
		t.Errorf("Given (-want +got):\n%s", diff)
	}
}

func TestEnvironmentOfDMTCPGivesDefaults(t *testing.T) {
	env := func(interval string) func(string) string {
		return func(k string) string {
			return map[string]string{"DMTCP_CHECKPOINT_DIR": "/ck", "DMTCP_CHECKPOINT_INTERVAL": interval}[k]
		}
	}
	cmd, err := Parse([]string{"./a"}, env("90"))
	if err != nil || cmd.Run.CkptDir != "/ck" || cmd.Run.CkptInterval != 90*time.Second {
		t.Errorf("Parse(./a) = %+v, %v, want /ck every 90s", cmd.Run, err)
	}
	cmd, err = Parse(strings.Fields("--ckpt-interval auto --ckpt-dir d ./a"), env("90"))
	if err != nil || cmd.Run.CkptDir != "d" || cmd.Run.CkptInterval != 0 || !cmd.Run.CkptIntervalAuto {
		t.Errorf("Parse(options before the environment) = %+v, %v, want d and auto", cmd.Run, err)
	}
	if _, err = Parse([]string{"./a"}, env("soon")); err == nil || !strings.HasPrefix(err.Error(), "DMTCP_CHECKPOINT_INTERVAL: ") {
		t.Errorf("Parse(./a) with a wrong interval = %v, want an error that names the variable", err)
	}
	if _, err = Parse([]string{"ls", "d"}, env("soon")); err != nil {
		t.Errorf("Parse(ls d) = %v, want no interest in the interval", err)
	}
}

func FuzzParseNeverPanicsAndExplainsItself(f *testing.F) {
	for _, s := range []string{"-np 4 ./a : -n 2 ./b", "restart d@3", "-genv A", "--=", "-", "--", "-x\nA=\n./a", "help -", "--map-by ppr::node a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		cmd, err := Parse(strings.Split(s, " "), none)
		if err != nil {
			if e, ok := errors.AsType[*UsageError](err); !ok || e.Reason == "" {
				t.Errorf("Parse(%q) = %#v, want a *UsageError with a reason", s, err)
			}
			return
		}
		if cmd.Verb != VerbRun {
			return
		}
		if len(cmd.Run.Contexts) == 0 || cmd.Run.CkptDir == "" {
			t.Errorf("Parse(%q) = %+v, want a program and a directory", s, cmd.Run)
		}
		for _, c := range cmd.Run.Contexts {
			if c.Program == "" || c.NP < 0 {
				t.Errorf("Parse(%q) gives %+v", s, c)
			}
		}
	})
}
