package image

import "testing"

func TestTheLongestMoveOfAPathCounts(t *testing.T) {
	m := PathMap{"/home/a=/scratch", "/home/a/b=/elsewhere/b", "/file=/other file", "/home/a/b/c=/deep"}
	for path, want := range map[string]string{
		"":                       "",
		"/home/a":                "/scratch",
		"/home/a/x":              "/scratch/x",
		"/home/ab":               "/home/ab",
		"/home/a/b/x=y":          "/elsewhere/b/x=y",
		"/home/a/b/c/d":          "/deep/d",
		"/file":                  "/other file",
		"/file (deleted)":        "/other file (deleted)",
		"/filed":                 "/filed",
		"relative/home/a":        "relative/home/a",
		"[stack]":                "[stack]",
		"/home/a/b (deleted)":    "/elsewhere/b (deleted)",
		"/home/other/a/b/c/file": "/home/other/a/b/c/file",
	} {
		if got := m.Path(path); got != want {
			t.Errorf("Path(%q) = %q, want %q", path, got, want)
		}
	}
}
