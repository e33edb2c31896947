package hosts

import (
	"fmt"
	"strings"
)

// attributes are the key=value words of one hostfile line; zero means absent.
type attributes struct {
	slots, most, port int
	user              string
}

// keys maps every spelling of both families to what it means here. The ones
// that describe boards and sockets are read by Open MPI and never used; the
// binding of Hydra's hostfile is left to -bind-to.
var keys = map[string]string{
	"slots": "slots", "cpu": "slots", "cpus": "slots", "count": "slots", "ppn": "slots",
	"max_slots": "max", "slots_max": "max", "max_cpu": "max", "cpu_max": "max", "cpus_max": "max", "max_cpus": "max", "count_max": "max", "max_count": "max",
	"user": "user", "username": "user", "user_name": "user",
	"port":    "port",
	"binding": "", "boards": "", "sockets": "", "sockets_per_board": "", "cores": "", "cores_per_socket": "", "num_cores": "", "num_boards": "", "num_sockets": "",
}

// set takes one key=value word; the reason is empty when it is right.
func (a *attributes) set(word string) (reason string) {
	key, value, ok := strings.Cut(word, "=")
	if !ok {
		return "after the host only key=value words may follow, such as slots=4"
	}
	meaning, known := keys[strings.ReplaceAll(strings.ToLower(key), "-", "_")]
	switch {
	case !known:
		return "the keys of a host are slots, max_slots, user, port, ppn and binding"
	case value == "":
		return "the value is missing"
	}
	switch meaning {
	case "slots":
		return a.number(&a.slots, value, "the number of slots", MaxSlots)
	case "max":
		return a.number(&a.most, value, "the largest number of slots", MaxSlots)
	case "port":
		return a.number(&a.port, value, "the port", 65535)
	case "user":
		if a.user != "" {
			return "the user is given twice on this line"
		}
		a.user = value
		return checkUser(value)
	}
	return ""
}

func (a *attributes) number(to *int, value, what string, most int) string {
	if *to != 0 {
		return what + " is given twice on this line"
	}
	n, reason := parseNumber(value, what, most)
	*to = n
	return reason
}

// apply puts the attributes on a host. A host with max_slots alone has that
// many slots, as Open MPI has it.
func (a *attributes) apply(h Host) (Host, string) {
	switch {
	case a.slots != 0 && h.SlotsGiven:
		return h, "the number of slots is given twice, after the colon and as slots="
	case a.user != "" && h.User != "":
		return h, "the user is given twice, before the @ and as user="
	}
	if a.user != "" {
		h.User = a.user
	}
	h.Port, h.Max = a.port, a.most
	switch {
	case a.slots != 0:
		h.Slots, h.SlotsGiven = a.slots, true
	case a.most != 0 && !h.SlotsGiven:
		h.Slots, h.SlotsGiven = a.most, true
	}
	if h.Max != 0 && h.Max < h.Slots {
		return h, fmt.Sprintf("max_slots=%d is less than its %d slots", h.Max, h.Slots)
	}
	return h, ""
}
