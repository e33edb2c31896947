package hosts

import (
	"fmt"
	"strconv"
	"strings"
)

// expand writes out bracket ranges: node[01-03,7] is node01, node02, node03
// and node7. A name may have several brackets; the last one counts fastest. A
// name without brackets is returned as it is. Leading zeros of the first
// number of a range give the width of all its numbers, as Slurm has it. The
// second result is why a pattern is none, else empty.
func expand(s string) ([]string, string) {
	out := []string{""}
	for s != "" {
		open := strings.IndexAny(s, "[]")
		if open < 0 {
			return suffixed(out, []string{s})
		}
		if s[open] == ']' {
			return nil, "a closing bracket without an opening one"
		}
		inner, after, ok := strings.Cut(s[open+1:], "]")
		if !ok {
			return nil, "an opening bracket without a closing one"
		}
		numbers, reason := ranges(inner)
		if reason != "" {
			return nil, reason
		}
		for i, n := range numbers {
			numbers[i] = s[:open] + n
		}
		if out, reason = suffixed(out, numbers); reason != "" {
			return nil, reason
		}
		s = after
	}
	return out, ""
}

func suffixed(heads, tails []string) ([]string, string) {
	if len(heads)*len(tails) > MaxHosts {
		return nil, fmt.Sprintf("the pattern stands for more than %d hosts", MaxHosts)
	}
	out := make([]string, 0, len(heads)*len(tails))
	for _, h := range heads {
		for _, t := range tails {
			// Every name is checked against 255 bytes later; stopping
			// here keeps a hostile pattern from eating the memory.
			if len(h)+len(t) > 255 {
				return nil, "a host name has at most 255 bytes"
			}
			out = append(out, h+t)
		}
	}
	return out, ""
}

// ranges reads the inside of a bracket: numbers and from-to, with commas.
func ranges(s string) ([]string, string) {
	var out []string
	for _, part := range strings.Split(s, ",") {
		lo, hi, isRange := strings.Cut(part, "-")
		if !isRange {
			hi = lo
		}
		from, err1 := strconv.ParseUint(lo, 10, 32)
		to, err2 := strconv.ParseUint(hi, 10, 32)
		switch {
		case err1 != nil || err2 != nil || len(lo) > 20 || len(hi) > 20:
			return nil, fmt.Sprintf("%q in brackets is neither a number nor a range such as 01-08", part)
		case to < from:
			return nil, fmt.Sprintf("the range %s runs backwards", part)
		case to-from >= MaxHosts || uint64(len(out))+to-from >= MaxHosts:
			return nil, fmt.Sprintf("the pattern stands for more than %d hosts", MaxHosts)
		}
		for n := from; n <= to; n++ {
			out = append(out, fmt.Sprintf("%0*d", len(lo), n))
		}
	}
	return out, ""
}
