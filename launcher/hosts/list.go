package hosts

import "strings"

// ParseList reads the words of -host options, each a comma-separated list of
// [user@]name[:count]. Hosts named more than once are one host with the sum
// of the slots. The source names the option in errors, which are *ParseError.
func ParseList(source string, words ...string) ([]Host, error) {
	var all []mention
	for _, word := range words {
		entries, err := split(source, word)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			list, reason := parseEntry(e)
			if reason != "" {
				return nil, &ParseError{Source: source, Word: e, Reason: reason}
			}
			if len(all)+len(list) > MaxHosts {
				return nil, &ParseError{Source: source, Word: e, Reason: "too many hosts in one list"}
			}
			for _, h := range list {
				all = append(all, mention{Host: h, source: source, word: e})
			}
		}
	}
	return merge(all)
}

// split cuts at the commas outside of brackets. Empty entries are errors: they
// are the trace of a shell variable that was not set.
func split(source, s string) ([]string, error) {
	var out []string
	depth, start := 0, 0
	cut := func(end int) error {
		e := strings.TrimSpace(s[start:end])
		if e == "" {
			return &ParseError{Source: source, Word: s, Reason: "the list has an empty entry"}
		}
		out = append(out, e)
		return nil
	}
	for i := range len(s) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case ',':
			if depth > 0 {
				continue
			}
			if err := cut(i); err != nil {
				return nil, err
			}
			start = i + 1
		}
	}
	if err := cut(len(s)); err != nil {
		return nil, err
	}
	return out, nil
}
