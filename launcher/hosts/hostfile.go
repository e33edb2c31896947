package hosts

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds a hostfile in bytes: a list of a million hosts fits, a core
// file given by mistake does not.
const maxFile = 64 << 20

// ReadFile reads one hostfile; "-" is standard input. A directory is refused.
// A file that names no host is an error, since running on this machine
// instead would surprise. Errors in its text are *ParseError.
func ReadFile(path string) ([]Host, error) {
	var in io.Reader = os.Stdin
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading the hostfile: %w", err)
		}
		defer f.Close()
		st, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("reading the hostfile: %w", err)
		}
		if st.IsDir() {
			return nil, fmt.Errorf("hostfile %s is a directory; name a file in it", path)
		}
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading hostfile %s: %w", path, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("hostfile %s is longer than %d MiB; it is no hostfile", path, maxFile>>20)
	}
	list, err := ParseFile(path, string(text))
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("hostfile %s names no host", path)
	}
	return list, nil
}

// ParseFile reads the text of a hostfile; source is its name for errors, which
// are *ParseError. Hosts excluded by "^" are taken out wherever the line
// stands, and a file without hosts gives an empty list.
func ParseFile(source, text string) ([]Host, error) {
	lines, err := lex(source, text)
	if err != nil {
		return nil, err
	}
	var all []mention
	out := make(map[string]bool)
	for _, l := range lines {
		list, excluded, err := parseLine(source, l)
		if err != nil {
			return nil, err
		}
		if len(all)+len(list) > MaxHosts {
			return nil, &ParseError{Source: source, Line: l.number, Word: l.words[0], Reason: "too many hosts in one file"}
		}
		if excluded {
			for _, m := range list {
				out[m.Name] = true
			}
			continue
		}
		all = append(all, list...)
	}
	kept := all[:0]
	for _, m := range all {
		if !out[m.Name] {
			kept = append(kept, m)
		}
	}
	return merge(kept)
}

func parseLine(source string, l fileLine) (list []mention, excluded bool, err error) {
	fail := func(word, reason string) error {
		return &ParseError{Source: source, Line: l.number, Word: word, Reason: reason}
	}
	word := l.words[0]
	switch {
	case strings.HasPrefix(word, "+"):
		return nil, false, fail(word, "relative hosts such as +n1 and +e need a list to be relative to; name the host")
	case strings.EqualFold(word, "rank") && len(l.words) > 1:
		return nil, false, fail(word, "this is a rankfile, not a hostfile; a line starts with the name of a host")
	}
	name, excluded := strings.CutPrefix(word, "^")
	hosts, reason := parseEntry(name)
	if reason != "" {
		return nil, false, fail(word, reason)
	}
	var a attributes
	for _, w := range l.words[1:] {
		if reason := a.set(w); reason != "" {
			return nil, false, fail(w, reason)
		}
	}
	for _, h := range hosts {
		h, reason := a.apply(h)
		if reason != "" {
			return nil, false, fail(word, reason)
		}
		list = append(list, mention{Host: h, source: source, line: l.number, word: word})
	}
	return list, excluded, nil
}
