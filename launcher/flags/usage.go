package flags

import (
	"fmt"
	"strings"
)

// exitStatuses is what the usage and the documentation promise.
var exitStatuses = []struct {
	status, meaning string
}{
	{"0", "the job ended well, or the verb did its work"},
	{"2", "the command line is wrong"},
	{"75", "the job was checkpointed and stopped on purpose; restart resumes it"},
	{"76", "a restart is impossible: no usable checkpoint, or a host that lacks something"},
	{"124", "the job ran longer than --timeout"},
	{"125", "gompirun itself failed"},
	{"126", "the program cannot be executed"},
	{"127", "the program was not found"},
	{"128+N", "a process of the job was killed by signal N"},
	{"other", "the job's own exit status"},
}

// Usage is the whole help text.
func Usage() string {
	var b strings.Builder
	b.WriteString("Usage: gompirun [options] PROGRAM [ARGS] [: [options] PROGRAM [ARGS]]...\n")
	for _, v := range verbs {
		if v.verb != VerbAgent {
			fmt.Fprintf(&b, "       gompirun %s\n", strings.TrimRight(string(v.verb)+" "+v.args, " "))
		}
	}
	b.WriteString("\nRuns a program on many hosts as mpirun does, checkpoints it while it runs, and\n" +
		"restarts it on the same hosts or on others.\n\nVerbs (only as the first word; ./restart is a program):\n")
	for _, v := range verbs {
		row(&b, string(v.verb), v.doc)
	}
	for _, g := range []string{groupJob, groupHosts, groupEnv, groupCkpt, groupOutput, groupNative, groupOther} {
		fmt.Fprintf(&b, "\n%s:\n", g)
		for _, o := range table {
			if o.group == g {
				row(&b, o.spelling(), o.describe())
			}
		}
	}
	b.WriteString("\nOptions take one dash or two, and their value as the next word or behind \"=\".\n" +
		"They end at \"--\" or at the first word without a dash, which is the program.\n" +
		"TIME is 90s, 10m, 1h30m, 2d or a number of seconds. Hosts come from --host and\n" +
		"--hostfile, else from Slurm, LSF, SGE or PBS, else the job runs on this machine.\n\nExit status:\n")
	for _, s := range exitStatuses {
		row(&b, s.status, s.meaning)
	}
	return b.String()
}

// HelpOn is the help of one verb or option, or false where there is no such.
func HelpOn(topic string) (string, bool) { return topicHelp(topic) }

func topicHelp(topic string) (string, bool) {
	for _, v := range verbs {
		if topic != string(v.verb) {
			continue
		}
		var b strings.Builder
		fmt.Fprintf(&b, "Usage: gompirun %s\n\n%s\n", strings.TrimRight(string(v.verb)+" "+v.args, " "), sentence(v.doc))
		header := "\nOptions:\n"
		for _, o := range table {
			if o.takenBy(v.verb) {
				b.WriteString(header)
				row(&b, o.spelling(), o.doc)
				header = ""
			}
		}
		return b.String(), true
	}
	name := strings.TrimLeft(topic, "-")
	for _, verb := range append([]Verb{VerbRun}, VerbCheckpoint, VerbRestart, VerbLs, VerbPrune) {
		if o, ok := find(name, verb); ok {
			text := fmt.Sprintf("%s\n    %s\n", o.spelling(), sentence(o.doc))
			if len(o.aliases) > 0 {
				text += fmt.Sprintf("    The same: -%s\n", strings.Join(o.aliases, ", -"))
			}
			return text, true
		}
	}
	return "", false
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] + "." }

// describe adds to the doc who takes the option, where that is not a run.
func (o *option) describe() string {
	if o.takenBy(VerbRun) {
		return o.doc
	}
	var names []string
	for _, v := range o.verbs {
		names = append(names, string(v))
	}
	return strings.Join(names, ", ") + ": " + o.doc
}

// row writes a name and its text, folded at 80 columns.
func row(b *strings.Builder, name, text string) {
	const indent, width = 26, 80
	fmt.Fprintf(b, "  %-*s", indent-2, name)
	col := max(indent, len(name)+2)
	if len(name) > indent-3 {
		b.WriteString("\n" + strings.Repeat(" ", indent))
		col = indent
	}
	for i, w := range strings.Fields(text) {
		if i > 0 && col+1+len(w) > width {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			col = indent
		} else if i > 0 {
			b.WriteByte(' ')
			col++
		}
		b.WriteString(w)
		col += len(w)
	}
	b.WriteByte('\n')
}
