package hosts

import "strings"

// A fileLine is one line of a hostfile without its comments, cut into words.
type fileLine struct {
	number int
	words  []string
}

// lex removes comments and cuts lines into words. A "/* */" comment may span
// lines and counts as white space. Spaces around "=" are taken away, so that
// "slots = 4" is one word.
func lex(source, text string) ([]fileLine, error) {
	var out []fileLine
	inComment, opened := false, 0
	for i, raw := range strings.Split(text, "\n") {
		number := i + 1
		var b strings.Builder
		for s := raw; s != ""; {
			if inComment {
				_, after, closed := strings.Cut(s, "*/")
				if !closed {
					break
				}
				inComment, s = false, after
				b.WriteByte(' ')
				continue
			}
			at := strings.IndexAny(s, "#/")
			switch {
			case at < 0:
				b.WriteString(s)
				s = ""
			case s[at] == '#' || strings.HasPrefix(s[at:], "//"):
				b.WriteString(s[:at])
				s = ""
			case strings.HasPrefix(s[at:], "/*"):
				b.WriteString(s[:at])
				s = s[at+2:]
				inComment, opened = true, number
			default:
				b.WriteString(s[:at+1])
				s = s[at+1:]
			}
		}
		if words := cutWords(b.String()); len(words) > 0 {
			out = append(out, fileLine{number, words})
		}
	}
	if inComment {
		return nil, &ParseError{Source: source, Line: opened, Word: "/*", Reason: "this comment is never closed by */"}
	}
	return out, nil
}

func cutWords(s string) []string {
	fields := strings.Fields(strings.ReplaceAll(s, "=", " = "))
	var out []string
	for i := 0; i < len(fields); i++ {
		if fields[i] != "=" {
			out = append(out, fields[i])
			continue
		}
		word := "="
		if n := len(out); n > 0 {
			word = out[n-1] + "="
			out = out[:n-1]
		}
		if i+1 < len(fields) {
			i++
			word += fields[i]
		}
		out = append(out, word)
	}
	return out
}
