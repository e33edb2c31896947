package hosts

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// parseEntry reads [user@]name[:count], where the name may stand for many.
// The reason returned is empty when the word is right.
func parseEntry(word string) (list []Host, reason string) {
	rest := word
	var h Host
	if user, after, ok := strings.Cut(rest, "@"); ok {
		if reason := checkUser(user); reason != "" {
			return nil, reason
		}
		h.User, rest = user, after
	}
	name, count, counted, reason := splitCount(rest)
	if reason != "" {
		return nil, reason
	}
	h.Slots = 1
	if counted {
		n, reason := parseSlots(count)
		if reason != "" {
			return nil, reason
		}
		h.Slots, h.SlotsGiven = n, true
	}
	names, reason := expandName(name)
	if reason != "" {
		return nil, reason
	}
	for _, n := range names {
		h.Name = n
		list = append(list, h)
	}
	return list, ""
}

// splitCount parts the name from the count. A colon is looked for behind the
// last bracket, so that brackets may hold an IPv6 address.
func splitCount(s string) (name, count string, counted bool, reason string) {
	from := strings.LastIndexByte(s, ']') + 1
	tail := s[from:]
	if strings.Count(tail, ":") > 1 {
		return "", "", false, "a name has at most one colon, before the number of slots; write an IPv6 address in brackets, [fe80::1]:4"
	}
	head, count, counted := strings.Cut(tail, ":")
	return s[:from] + head, count, counted, ""
}

func expandName(s string) ([]string, string) {
	if s == "" {
		return nil, "the name of the host is missing"
	}
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") && strings.Contains(s, ":") {
		addr := s[1 : len(s)-1]
		if a, err := netip.ParseAddr(addr); err != nil || !a.Is6() || checkZone(a.Zone()) != "" {
			return nil, "the brackets hold no IPv6 address"
		}
		return []string{addr}, ""
	}
	names, reason := expand(s)
	if reason != "" {
		return nil, reason
	}
	for _, n := range names {
		if reason := checkName(n); reason != "" {
			return nil, reason
		}
	}
	return names, ""
}

func checkZone(zone string) string {
	if zone == "" {
		return ""
	}
	return checkName(zone)
}

// checkName refuses what could be taken for an option by ssh or by a shell on
// the other side, whatever DNS would say to it.
func checkName(s string) string {
	if len(s) > 255 {
		return "a host name has at most 255 bytes"
	}
	if s[0] == '-' {
		return "a host name does not start with a dash"
	}
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '.' && c != '-' && c != '_' {
			return fmt.Sprintf("a host name has letters, digits, dots, dashes and underscores, not %q", string(rune(c)))
		}
	}
	return ""
}

func checkUser(s string) string {
	if s == "" {
		return "the name of the user before @ is missing"
	}
	if s[0] == '-' {
		return "a user name does not start with a dash"
	}
	for _, c := range []byte(s) {
		if !isAlnum(c) && !strings.ContainsRune("._-+\\$", rune(c)) {
			return fmt.Sprintf("a user name does not hold %q", string(rune(c)))
		}
	}
	return ""
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func parseSlots(s string) (int, string) {
	return parseNumber(s, "the number of slots", MaxSlots)
}

func parseNumber(s, what string, most int) (int, string) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most || s[0] == '+' {
		return 0, fmt.Sprintf("%s is a whole number from 1 to %d", what, most)
	}
	return n, ""
}
